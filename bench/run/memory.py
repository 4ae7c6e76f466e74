"""Peak memory of this process since the last reset, and what the machine has."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_GROUP_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # control groups 2 and 1, as mounted


def reset_peak_memory() -> None:
    """Start a new measurement, where the kernel can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # the peak since the process began is then what peak_memory_mb gives


def peak_memory_mb() -> float:
    """Largest resident size since the reset, in MB (10^6 bytes)."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        return _peak_since_start()
    return _peak_since_start()


def _peak_since_start() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def machine_memory() -> int:
    """Bytes of memory in this machine, or in its container where that may use less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _GROUP_LIMITS:
        limit = Path("/sys/fs/cgroup", name)
        if limit.is_file():
            text = limit.read_text().strip()
            found.extend([int(text)] if text.isdigit() else [])  # "max": no limit
    return min(found)
