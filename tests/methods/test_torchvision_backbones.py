"""`alexnet` and `vgg16` against torchvision's own models, and what a run makes of their weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from builtin import method_class
from commands import Bench
from faces import faces_of, noise
from torchvision.transforms import functional

from bench.api import BenchError, FaceSet, UnavailableError
from bench.plugins import Registry
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan

AlexNet = method_class("alexnet")
VGG16 = method_class("vgg16")
RELU = {"alexnet": {"fc6": 2, "fc7": 5}, "vgg16": {"fc6": 1, "fc7": 4}}


def faces(n: int = 3, side: int = 50) -> FaceSet:
    return faces_of(noise(n, side, side, 3))


def small_file(path: Path, classes: int = 1000) -> Path:
    """Weights for all of AlexNet in a file of some MB: rows that overlap in memory."""
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = torchvision.models.alexnet(num_classes=classes).state_dict()
    state = {}
    for name, like in shapes.items():
        fan_in = like[0].numel()
        values = torch.randn(fan_in + len(like) - 1) * (2 / fan_in) ** 0.5
        matrix = values.as_strided((len(like), fan_in), (1, 1))
        state[name] = (
            matrix.view(like.shape)
            if like.ndim == 1
            else matrix.unflatten(1, tuple(like.shape[1:]))
        )
    torch.save(state, path)
    assert path.stat().st_size < 5_000_000
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_file(tmp_path_factory.mktemp("weights") / "own.pth")


def forward(model: torch.nn.Module, layer: int, given: FaceSet, side: int) -> np.ndarray:
    """Activations of ``classifier[layer]`` in torchvision's whole model, image by image."""
    found: list[np.ndarray] = []
    hook = (
        model.eval()
        .classifier[layer]
        .register_forward_hook(lambda *args: found.append(args[2].detach().clone().numpy()))
    )
    assert given.images is not None
    for image in given.images:
        x = torch.from_numpy(image.copy()).permute(2, 0, 1) / 255
        x = functional.resize(x, [side, side], antialias=True)
        x = functional.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        model(x[None])
    hook.remove()
    return np.concatenate(found)


@pytest.mark.parametrize("layer", ["fc6", "fc7"])
def test_alexnet_gives_what_torchvisions_model_gives(weights: Path, layer: str) -> None:
    model = torchvision.models.alexnet()
    model.load_state_dict(torch.load(weights, weights_only=True))
    expected = forward(model, RELU["alexnet"][layer], faces(), 224)
    found = AlexNet(weights=str(weights), layer=layer).transform(faces())
    assert found.shape == (3, 4096)
    assert found.dtype == np.float32
    assert expected.std() > 0.1
    assert len(np.unique(found, axis=0)) == 3
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(np.abs(expected).max()))


def test_vgg16_gives_what_torchvisions_model_gives() -> None:
    """Random weights, carried over: a file would take half a gigabyte."""
    made = VGG16(weights="random", side=64)
    found = made.transform(faces(2))
    with torch.device("meta"):
        model = torchvision.models.vgg16()
    state = {name: torch.zeros(one.shape) for name, one in model.state_dict().items()}
    state.update(made._loaded.network.state_dict())
    model.load_state_dict(state, assign=True)
    expected = forward(model, RELU["vgg16"]["fc7"], faces(2), 64)
    assert found.shape == (2, 4096)
    assert found.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.max()))
    made = VGG16(weights="random", side=64, layer="fc6")
    expected = forward(model, RELU["vgg16"]["fc6"], faces(2), 64)
    np.testing.assert_allclose(
        made.transform(faces(2)), expected, atol=1e-4 * float(expected.max())
    )


def test_a_head_of_other_size_does_not_matter(weights: Path, tmp_path: Path) -> None:
    seven = small_file(tmp_path / "seven.pth", classes=7)
    found = AlexNet(weights=str(seven), side=64).transform(faces(1))
    np.testing.assert_array_equal(found, AlexNet(weights=str(weights), side=64).transform(faces(1)))


@pytest.mark.parametrize("plugin", [AlexNet, VGG16], ids=["alexnet", "vgg16"])
def test_published_weights_are_looked_for_in_the_hubs_folder(
    plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UnavailableError) as refused:
        plugin().weights_used()
    file = {"alexnet": "alexnet-owt-7be5be79.pth", "vgg16": "vgg16-397923af.pth"}[plugin.name]
    assert f"/models/{file} in {tmp_path}/hub/checkpoints (or pass " in str(refused.value)
    assert f"{plugin.name}[weights=PATH]" in str(refused.value)
    with pytest.raises(UnavailableError):
        plugin().transform(faces(1))
    broken = tmp_path / "hub" / "checkpoints" / file
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"half of it")
    with pytest.raises(BenchError, match=f"{file} is damaged: its SHA-256 does not begin with"):
        plugin().weights_used()


def test_weights_of_the_other_network_are_refused(weights: Path) -> None:
    with pytest.raises(BenchError, match=r"another network than vgg16: \d+ of its keys are missin"):
        VGG16(weights=str(weights)).weights_used()


def test_a_run_tells_the_weights_and_skips_what_has_none(
    bench: Bench, tiny: Path, tmp_path: Path, weights: Path
) -> None:
    methods = f"alexnet[side=64,weights={weights}]+mlknn[k=3],vgg16+mlknn[k=3],halves+mlknn[k=3]"
    words = ("--dataset", "tiny", "--plugins", tiny, "--device", "cpu", "--workers", 1)
    done = bench("run", *words, "--methods", methods, TORCH_HOME=str(tmp_path / "empty"))
    assert done.returncode == 0, done.stderr
    assert "skipped: vgg16+mlknn (official): vgg16 needs https://" in done.stderr
    paths = tmp_path.glob("here/bench-results/runs/*/record.json")
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    found = {one["cell"]["features"]: one for one in records}
    assert {name: one["status"] for name, one in found.items()} == {
        "alexnet": "ok",
        "vgg16": "skipped",
        "halves": "ok",
    }
    alexnet = found["alexnet"]
    assert alexnet["cell"]["features_params"]["weights"] == "own.pth"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert alexnet["cell"]["weights"] == digest
    assert (
        f"alexnet: weights own.pth (SHA-256 {digest[:8]}…); fc7 after ReLU; input 64 x 64 pixels; "
        "57,003,840 parameters; float32"
    ) in alexnet["notes"]
    assert str(weights.parent) not in json.dumps(records)


def plan(tiny: Path, methods: str, device: str = "cpu") -> Plan:
    return make_plan(Registry([tiny]), RunOptions("tiny", f"{methods}+mlknn[k=3]", device=device))


def test_other_weights_are_another_cell(tiny: Path, tmp_path: Path) -> None:
    path = small_file(tmp_path / "own.pth")
    written = f"alexnet[weights={path}|random]"
    own, random = (job.cell.weights for job in plan(tiny, written).jobs)
    assert own == hashlib.sha256(path.read_bytes()).hexdigest()
    assert random == "random"
    keys = [job.key for job in plan(tiny, written).jobs]
    small_file(path, classes=7)
    others = [job.key for job in plan(tiny, written).jobs]
    assert keys[0] != others[0]
    assert keys[1] == others[1]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("alexnet[weights=gone.pth]", r"alexnet\[weights=gone.pth\]: there is no such file"),
        ("vgg16[weights={own}]", "own.pth holds weights for another network than vgg16: "),
        ("alexnet[layer=fc8]", r"layer takes fc7 \| fc6"),
        ("alexnet[side=32]", "int >= 64"),
    ],
)
def test_a_wrong_method_stops_before_anything_runs(
    tiny: Path, weights: Path, written: str, message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        plan(tiny, written.format(own=weights))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_asked_for_where_there_is_none(tiny: Path) -> None:
    with pytest.raises(BenchError, match="use --device cpu"):
        plan(tiny, "alexnet[weights=random]", device="cuda")
