"""The device that networks compute on: its name, its precision, and kernels that repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bench.api import BenchError


def find_device(name: str) -> str:
    """The device that ``--device NAME`` means, as torch spells it.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: a GPU where torch sees one.

    Raises
    ------
    BenchError
        The name is none of these, or this machine has no such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    spelled = re.fullmatch(r"cuda(?::([0-9]+))?", name)
    if spelled is None:
        raise BenchError(f"--device {name}: write cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        why = "torch sees no GPU (nvidia-smi shows what the driver sees)"
        if torch.version.cuda is None:
            why = "this torch is built for the CPU alone"
        raise BenchError(f"--device {name}: {why}; use --device cpu")
    if spelled[1] is None:
        return name
    last = torch.cuda.device_count() - 1
    if int(spelled[1]) > last:
        raise BenchError(f"--device {name}: the last GPU is cuda:{last}")
    return f"cuda:{int(spelled[1])}"


def device_label(device: str) -> str:
    """The device in words, for records: ``cpu``, ``cuda (NVIDIA H100 80GB HBM3)``."""
    if device == "cpu":
        return device
    return f"{device.partition(':')[0]} ({torch.cuda.get_device_name(torch.device(device))})"


def trains_in_bfloat16(device: str) -> bool:
    """Whether mixed precision pays: on GPUs and processors with units that multiply bfloat16.

    On processors with ``avx512_bf16`` alone, trainings are 1.4 to 2 times as fast as in float32;
    with AMX tiles, four times.
    """
    if device == "cpu":
        try:
            flags = Path("/proc/cpuinfo").read_text(encoding="ascii").split()
        except OSError:
            return False
        return "amx_bf16" in flags or "avx512_bf16" in flags
    return torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def seeded(device: str, seed: int) -> Iterator[None]:
    """A block in which torch's global randomness comes from ``seed``, and kernels repeat.

    Initial weights and dropout draw from it. Afterwards the generators are as before.
    """
    devices = [] if device == "cpu" else [torch.device(device)]
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
