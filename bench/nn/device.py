"""Which device computes, and how precisely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bench.api import BenchError


def find_device(asked: str) -> str:
    """The device to compute on.

    Parameters
    ----------
    asked : str
        ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: a GPU where torch sees one.

    Raises
    ------
    BenchError
        A device that is not there, or no device at all.
    """
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, colon, number = asked.partition(":")
    if asked == "cpu":
        return asked
    if kind != "cuda" or (colon and not (number.isascii() and number.isdigit())):
        raise BenchError(f"--device {asked}: write cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        why = (
            "torch sees no GPU (nvidia-smi shows what the driver sees)"
            if built
            else ("this torch is built for the CPU alone")
        )
        raise BenchError(f"--device {asked}: {why}; use --device cpu")
    if colon and int(number) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise BenchError(f"--device {asked}: the last GPU is cuda:{last}")
    return f"cuda:{int(number)}" if colon else asked


def described(device: str) -> str:
    """The device in words, for records: ``cpu``, ``cuda (NVIDIA H100 80GB HBM3)``."""
    if device == "cpu":
        return device
    return f"{device.partition(':')[0]} ({torch.cuda.get_device_name(torch.device(device))})"


def trains_in_bfloat16(device: str) -> bool:
    """Whether mixed precision pays: on GPUs and processors whose units multiply bfloat16.

    On processors with ``avx512_bf16`` alone trainings are 1.4 to 2 times as fast, with AMX tiles
    four times.
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
    """Global randomness (initial weights, dropout) from ``seed``, and kernels that repeat."""
    devices = [] if device == "cpu" else [torch.device(device)]
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
