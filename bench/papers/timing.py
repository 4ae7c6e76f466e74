"""How long a method takes for one face, for the papers' tables of times, and where that is kept.

A time is no result of a cell: it depends on the machine, and no record holds it. A results folder
keeps each in a file of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.api import BenchError, FaceSet, Features, Network, Setting
from bench.data.files import write_text
from bench.data.prepare import prepare
from bench.run.job import key_of
from bench.run.methods import Spec
from bench.run.provenance import provenance
from bench.run.sources import Sources

WARM, REPEATS = 10, 100
FACES = 32  # different ones, shown in turn


@dataclass(frozen=True)
class Timing:
    """Seconds that one face takes, one at a time, image in memory to scores (or vector).

    Attributes
    ----------
    method, dataset : str
        As written on the command line.
    device, processor : str
        In words.
    threads : int
    side : int
        Of the network's input in pixels; 0 where there is none.
    n : int
        Faces timed, after `WARM` others.
    median, low, high : float
        Seconds: median and quartiles.
    """

    method: str
    dataset: str
    device: str
    processor: str
    threads: int
    side: int
    n: int
    median: float
    low: float
    high: float

    @property
    def in_words(self) -> str:
        """How it was taken."""
        threads = f", {self.threads} thread(s)" if self.device == "cpu" else ""
        return (
            f"{self.device} ({self.processor}{threads}), batch 1, warm, median of {self.n} images"
        )


def time_per_image(
    spec: Spec, dataset: str, faces: FaceSet, device: str, sources: Sources, repeats: int = REPEATS
) -> Timing:
    """Time a method on single faces.

    Networks have their first weights: how long an answer takes does not depend on them. Their input
    is that of budget ``paper``.

    Parameters
    ----------
    dataset : str
        What the faces are, as `Timing` tells it.
    device : str
        ``auto`` takes a GPU where there is one.
    sources : Sources
        Reads the other datasets that the method names.
    repeats : int
        At least 100.

    Raises
    ------
    BenchError
        Fewer repeats; a method that cannot be built for these faces; weights that are missing.
    """
    if repeats < REPEATS:
        raise BenchError(f"{spec.written} is timed {repeats} times: at least {REPEATS}")
    method: Features = spec.make()
    where, words, threads = "cpu", "cpu", 1
    if method.accelerated:
        import torch

        from bench.nn.device import device_label, find_device

        where = find_device(device)
        words, threads = device_label(where), torch.get_num_threads()
    companions = sources.companions(spec, method, None)
    others = {name: handed for name, (_, handed) in companions.items()}
    method.setting = Setting("paper", device=where, others=others)
    prepared = prepare(faces.take(slice(0, FACES)), method.input)
    seconds = _clocked(_answer(spec, method, prepared), prepared, repeats)
    low, median, high = np.percentile(seconds, [25, 50, 75])
    return Timing(
        method=spec.written,
        dataset=dataset,
        device=words,
        processor=str(provenance()["processor"]),
        threads=threads,
        side=int(getattr(getattr(method, "recipe", None), "size", 0)),
        n=repeats,
        median=float(median),
        low=float(low),
        high=float(high),
    )


def _answer(spec: Spec, method: Features, faces: FaceSet) -> Callable[[FaceSet], Any]:
    """What a method is timed at: a network's own outputs, else its features."""
    if not isinstance(method, Network):
        return method.transform
    if not hasattr(method, "untrained"):
        raise BenchError(f"{spec.written} cannot be timed without a training")
    method.untrained(faces)
    outputs: Callable[[FaceSet], Any] = method.outputs
    return outputs


def _clocked(answer: Callable[[FaceSet], Any], faces: FaceSet, repeats: int) -> list[float]:
    """Seconds of each answer about a single face, after `WARM` others."""
    seconds = []
    for number in range(WARM + repeats):
        face = faces.take(np.array([number % len(faces)]))
        face = replace(face, distribution=None, votes=None)
        started = time.perf_counter()
        answer(face)  # gives arrays in memory: a GPU has finished
        seconds.append(time.perf_counter() - started)
    return seconds[WARM:]


def write_timing(results: Path, timing: Timing) -> None:
    """Keep a time in a results folder, in the place of an earlier one of the same kind."""
    name = key_of(method=timing.method, dataset=timing.dataset, device=timing.device)
    write_text(_folder(results) / f"{name}.json", json.dumps(asdict(timing), indent=1))


def read_timings(results: Path) -> list[Timing]:
    """The times that a results folder keeps.

    Raises
    ------
    BenchError
        A file that holds none.
    """
    timings = []
    for path in sorted(_folder(results).glob("*.json")):
        try:
            timings.append(msgspec.json.decode(path.read_bytes(), type=Timing))
        except msgspec.MsgspecError as error:
            raise BenchError(f"{path} cannot be read ({error}): delete it") from error
    return timings


def _folder(results: Path) -> Path:
    return results / "times"
