"""Training and feature extraction of networks beside the usual PyTorch script, in one run.

    python tests/perf/training.py [--device D] [--batches B] [--repeats R] [--parts P …]

The usual script: a DataLoader over PIL images that torchvision crops one by one (the quicker of two
numbers of workers), the same network in PyTorch's default memory format, float32, SGD and
CrossEntropyLoss as they come, `loss.item()` after each step. Its loader, workers and network stay
alive from one repeat to the next; ours trains a fresh network each time, and the second of its two
epochs counts. At default threads (OMP_NUM_THREADS sets others), in turn; ratios are medians of the
ratios within a turn. On a machine with other work, ``--clock cpu`` and OMP_NUM_THREADS=1 give
steadier ones: seconds of this process's own work, without that of the loader's workers.

Then MF-JLE's six networks, one by one or as one grouped network; the share of the measured rate of
matrix products; and peak memory as epochs and cells grow in number.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from bench.methods.mf_jle import GroupedResNets, SeparateResNets
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from bench.api import FaceSet, Setting
from bench.nn.device import device_label, find_device, trains_in_bfloat16
from bench.nn.recipe import Adam
from bench.plugins import Registry
from bench.run.memory import peak_memory_mb, reset_peak_memory

PARTS = ("training", "paths", "memory")
LABELS, BATCH, SIDE, SIZE = 6, 64, 100, 90
BAR_CPU, BAR_GPU, BAR_PATH = 1.5, 3.0, 1.05
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Seconds = dict[str, list[float]]


def noise(n: int) -> FaceSet:
    """Grey noise of 100×100 pixels with label sets and distributions: as fast as real faces."""
    rng = np.random.default_rng(0)
    distribution = rng.dirichlet(np.ones(LABELS), n)
    return FaceSet(
        "noise",
        "multi",
        tuple("abcdef"),
        np.array([f"{i}.png" for i in range(n)]),
        distribution > 0.2,
        images=rng.integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8),
        distribution=distribution,
    )


def network(device: str, budget: str, **length: int) -> Any:
    """`base-dcnn` with its recipe of this budget cut to so many iterations or epochs."""
    method: Any = Registry().find("method", "base-dcnn")[0].load()
    recipe = replace(method.recipes[budget], **{"iterations": None, "epochs": None, **length})
    short = type("Short", (method,), {"recipes": {budget: recipe}})()
    short.setting = Setting(budget=budget, selection="last", device=device)
    return short


class Pictures(Dataset):
    """PIL images in memory, each sent through its transforms whenever a batch takes it."""

    def __init__(self, faces: FaceSet, crop: Any) -> None:
        assert faces.images is not None
        assert faces.distribution is not None
        self.images = [Image.fromarray(image) for image in faces.images]
        self.targets = torch.from_numpy(faces.distribution.astype(np.float32))
        self.transform = transforms.Compose([crop, transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[row]), self.targets[row]


class Usual:
    """The usual script."""

    def __init__(self, faces: FaceSet, device: str, workers: int) -> None:
        self.device, self.workers = torch.device(device), workers
        options = {"num_workers": workers, "persistent_workers": workers > 0}
        options["pin_memory"] = self.device.type == "cuda"
        crops = Pictures(faces, transforms.RandomCrop(SIZE))
        centres = Pictures(faces, transforms.CenterCrop(SIZE))
        self.batches = DataLoader(crops, BATCH, shuffle=True, **options)  # type: ignore[arg-type]
        self.tests = DataLoader(centres, BATCH, **options)  # type: ignore[arg-type]
        self.model = network(device, "paper", iterations=1).build(LABELS, 1).to(self.device)
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.groups(), lr=0.01, momentum=0.9)

    def train(self) -> float:
        """Seconds of an epoch."""
        start, total = now(self.device), 0.0
        self.model.train()
        for images, targets in self.batches:
            images = images.to(self.device, non_blocking=True)
            targets = targets.to(self.device, non_blocking=True)
            self.optimizer.zero_grad()
            loss = self.loss(self.model(images).logits, targets)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return now(self.device) - start

    def extract(self) -> float:
        """Seconds of the features of all faces."""
        start = now(self.device)
        self.model.eval()
        with torch.no_grad():
            parts = [self.model(images.to(self.device)).embedding.cpu() for images, _ in self.tests]
        torch.cat(parts).numpy()
        return now(self.device) - start


def now(device: torch.device) -> float:
    """The clock, once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def in_turn(runs: dict[str, Callable[[], float]], repeats: int) -> Seconds:
    """Seconds of each run, all runs in turn, after a first turn that does not count."""
    seconds: Seconds = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            taken = run()
            if turn:
                seconds[name].append(taken)
    return seconds


def ratio(seconds: Seconds, slow: str, quick: str) -> str:
    """How many times as long ``slow`` takes as ``quick``, with the least and the most."""
    ratios = [a / b for a, b in zip(seconds[slow], seconds[quick], strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of square matrix products, the best of a few."""
    best = 0.0
    for side in (4096, 8192) if device.type == "cuda" else (2048,):
        a = torch.rand(side, side, device=device).to(dtype)
        for _ in range(4):
            start = now(device)
            for _ in range(3):
                a @ a
            best = max(best, 3 * 2 * side**3 / (now(device) - start))
    return best


def operations(model: nn.Module) -> float:
    """Floating-point operations of a training step for one image."""
    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(2, 1, SIZE, SIZE, device=device)).logits.sum().backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() / 2


def training(device: str, batches: int, repeats: int) -> None:
    """Training, feature extraction, and the share of the products' rate."""
    faces = noise(batches * BATCH)
    on = torch.device(device)
    scripts = [
        Usual(faces, device, workers) for workers in ((0, 2) if on.type == "cpu" else (2, 8))
    ]
    usual = min(scripts, key=lambda script: (script.train(), script.train())[1])
    del scripts
    fitted: dict[str, Any] = {}
    mixed = trains_in_bfloat16(device)

    def ours(name: str, bfloat16: bool) -> float:
        fitted.pop(name, None)  # a network at a time, as in a run
        with patch("bench.nn.train.trains_in_bfloat16", lambda _: bfloat16):
            short = network(device, "paper", iterations=2 * batches)
            short.fit(faces, np.random.default_rng(0))
        fitted[name] = short
        return len(faces) / short.history_[1]["images_per_second"]

    def extract() -> float:
        start = now(on)
        fitted["bench, float32"].transform(faces)
        return now(on) - start

    runs: dict[str, Callable[[], float]] = {
        "usual script, float32": usual.train,
        "bench, float32": lambda: ours("bench, float32", False),
    }
    if mixed:
        runs["bench, bfloat16"] = lambda: ours("bench, bfloat16", True)
    seconds = in_turn(runs, repeats)
    print(
        f"base-dcnn, training on {batches} batches of {BATCH}, {SIZE}×{SIZE} cut from {SIDE}×{SIDE}"
    )
    print_seconds(seconds, len(faces))
    bar = f"bar: at least {BAR_GPU if on.type == 'cuda' else BAR_CPU:g}"
    print(f"  usual ({usual.workers} workers) / bench, both float32: ", end="")
    print(ratio(seconds, "usual script, float32", "bench, float32"), f"({bar})")
    if mixed:
        print("  usual float32 / bench as it runs here, bfloat16: ", end="")
        print(ratio(seconds, "usual script, float32", "bench, bfloat16"), f"({bar})")
    else:
        print("  bench trains in float32 here: no bfloat16 units")
    work = operations(usual.model) * len(faces)
    for name in list(seconds)[1:]:
        dtype = torch.bfloat16 if name.endswith("bfloat16") else torch.float32
        measured, reached = rate(on, dtype), work / median(seconds[name])
        print(
            f"  {name}: {reached / 1e12:.3g} TFLOP/s, {reached / measured:.0%} of the "
            f"{measured / 1e12:.3g} of matrix products"
        )
    seconds = in_turn({"usual script, float32": usual.extract, "bench, float32": extract}, repeats)
    print(f"base-dcnn, features of {len(faces)} faces")
    print_seconds(seconds, len(faces))
    print("  usual / bench: ", end="")
    print(ratio(seconds, "usual script, float32", "bench, float32"), f"({bar})")


def print_seconds(seconds: Seconds, images: int) -> None:
    """Print a line for each run."""
    for name, times in seconds.items():
        print(
            f"  {name:24} {median(times):7.2f} s ({min(times):.2f} to {max(times):.2f}), "
            f"{images / median(times):.0f} images/s"
        )


def paths(device: str, repeats: int) -> None:
    """MF-JLE's six ResNet-18 one by one and grouped, training steps and inference."""
    entry = Registry().find("method", "mf-jle")[0]
    chosen = entry.load().params["path"].default
    on, mixed = torch.device(device), trains_in_bfloat16(device)
    print(f"mf-jle, path {chosen!r} by default")
    for size, batch in ((44, 32), (112, 8)):
        torch.manual_seed(0)
        separate = SeparateResNets(6, LABELS)
        grouped = GroupedResNets(list(separate.networks))  # type: ignore[arg-type]
        pixels = torch.rand(batch * 6, 3, size, size, device=on)
        images = pixels.contiguous(memory_format=torch.channels_last).unflatten(0, (batch, 6))
        models: dict[str, nn.Module] = {"separate": separate, "grouped": grouped}
        for train in (True, False):
            runs = {name: _step(model, images, mixed, train) for name, model in models.items()}
            seconds = in_turn(runs, repeats)
            quicker = min(seconds, key=lambda name: median(seconds[name]))
            precision = "bfloat16" if mixed and train else "float32"
            what = "training step" if train else "inference"
            default = "1.00 (the same)"
            if chosen != "separate":
                default = ratio(seconds, chosen, "separate")
            print(
                f"  {what:13} {batch}×{size}×{size}, {precision:8}: separate "
                f"{median(seconds['separate']):.3f} s, grouped / separate "
                f"{ratio(seconds, 'grouped', 'separate')}; {chosen} / separate {default} "
                f"(bar: at most {BAR_PATH:g}), quicker: {quicker}"
            )


def _step(model: nn.Module, images: Tensor, mixed: bool, train: bool) -> Callable[[], float]:
    """One step as the engine makes it."""
    device = images.device
    model.to(device, memory_format=torch.channels_last).train(train)  # type: ignore[call-overload]
    optimizer = Adam(1e-4).make([{"params": list(model.parameters())}])
    targets = (torch.rand(len(images), 6, LABELS, device=device) < 0.4).float()

    def run() -> float:
        start = now(device)
        if train:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                _, logits = model(images)
            loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), targets)
            loss.backward()
            optimizer.step()
        else:
            with torch.inference_mode():
                model(images)
        return now(device) - start

    return run


def peaks(device: str, epochs: Sequence[int]) -> list[float]:
    """Peak MB of fits of so many short epochs, one after the other in this process."""
    faces, peak_memory = noise(256), []
    for count in epochs:
        reset_peak_memory()
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats(device)
        network(device, "quick", epochs=count).fit(faces, np.random.default_rng(0)).transform(faces)
        # On a GPU its memory counts: the process beside it holds CUDA's own.
        on_gpu = torch.cuda.max_memory_allocated(device) / 1e6 if device != "cpu" else 0.0
        peak_memory.append(on_gpu or peak_memory_mb())
    return peak_memory


def memory(device: str) -> None:
    """Peak memory of processes of their own."""
    print("base-dcnn at 44×44, 256 faces, peak memory")
    for words, epochs in (
        ("2 epochs", (2,)),
        ("8 epochs", (8,)),
        ("6 cells of 2 epochs", (2,) * 6),
    ):
        command = [sys.executable, __file__, "--device", device, "--peaks", *map(str, epochs)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        print(f"  {words:20}", ", ".join(f"{peak:.0f}" for peak in json.loads(done.stdout)), "MB")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", type=int, help="of an epoch; 4, or 200 on a GPU")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peaks", type=int, nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    device = find_device(args.device)
    if args.peaks:
        print(json.dumps(peaks(device, args.peaks)))
        return 0
    print(
        f"{device_label(device)}, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s), "
        f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f}, {args.clock} clock; "
        f"median of {args.repeats} turns (least to most)"
    )
    batches = args.batches or (4 if device == "cpu" else 200)
    # The engine's own clock as well, so that all are measured alike.
    with patch("time.perf_counter", CLOCKS[args.clock]):
        if "training" in args.parts:
            training(device, batches, args.repeats)
        if "paths" in args.parts:
            paths(device, 2 * args.repeats)
    if "memory" in args.parts:
        memory(device)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
