"""How long a method takes for one face."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet, Features, Network, Setting
from bench.data.prepare import prepare
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
    made: Features = spec.make()
    where, words, threads = "cpu", "cpu", 1
    if made.accelerated:
        import torch

        from bench.nn.device import device_label, find_device

        where = find_device(device)
        words, threads = device_label(where), torch.get_num_threads()
    found = sources.companions(spec, made, None)
    others = {name: handed for name, (_, handed) in found.items()}
    made.setting = Setting("paper", device=where, others=others)
    some = prepare(faces.take(slice(0, FACES)), made.input)
    asked: Any = made.transform
    if isinstance(made, Network):
        if not hasattr(made, "untrained"):
            raise BenchError(f"{spec.written} cannot be timed without a training")
        made.untrained(some)
        asked = made.outputs
    seconds = []
    for number in range(WARM + repeats):
        face = some.take(np.array([number % len(some)]))
        face = replace(face, distribution=None, votes=None)
        started = time.perf_counter()
        asked(face)  # gives arrays in memory: a GPU has finished
        seconds.append(time.perf_counter() - started)
    low, median, high = np.percentile(seconds[WARM:], [25, 50, 75])
    recipe = getattr(made, "recipe", None)
    return Timing(
        spec.written,
        dataset,
        words,
        str(provenance()["processor"]),
        threads,
        int(getattr(recipe, "size", 0)),
        repeats,
        float(median),
        float(low),
        float(high),
    )
