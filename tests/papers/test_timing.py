"""How long a method takes for one face, and where that is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bench.api import BenchError, FaceSet
from bench.papers.methods import method_of
from bench.papers.timing import FACES, REPEATS, read_timings, time_per_image, write_timing
from bench.plugins import Registry
from bench.run.methods import Spec
from bench.run.sources import Sources


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def hog(registry: Registry) -> Spec:
    features, _ = method_of(registry, "hog")
    assert features is not None
    return features


@pytest.fixture(scope="module")
def faces(registry: Registry) -> FaceSet:
    return Sources(registry).placed("synthetic[images=60]").faces.take(np.arange(FACES))


def test_a_time_is_taken_and_kept(
    registry: Registry, hog: Spec, faces: FaceSet, tmp_path: Path
) -> None:
    timing = time_per_image(hog, "synthetic", faces, "cpu", Sources(registry))
    assert 0 < timing.low <= timing.median <= timing.high
    assert (timing.method, timing.dataset, timing.n) == ("hog", "synthetic", REPEATS)
    assert timing.in_words.startswith(f"cpu ({timing.processor}, 1 thread(s)), batch 1, warm")
    assert read_timings(tmp_path) == []
    write_timing(tmp_path, timing)
    assert read_timings(tmp_path) == [timing]
    later = dataclasses.replace(timing, median=timing.median / 2)
    write_timing(tmp_path, later)
    assert read_timings(tmp_path) == [later]


def test_few_repeats_and_damaged_files_are_refused(
    registry: Registry, hog: Spec, faces: FaceSet, tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match="hog is timed 5 times: at least 100"):
        time_per_image(hog, "synthetic", faces, "cpu", Sources(registry), repeats=5)
    (tmp_path / "times").mkdir()
    (tmp_path / "times" / "damaged.json").write_text('{"method": "hog"}', encoding="utf-8")
    with pytest.raises(BenchError, match=r"damaged\.json cannot be read .*: delete it"):
        read_timings(tmp_path)
