"""Shared by all tests: small plug-ins that cost nothing, and the command line in a subprocess."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shared import pytest_runtest_setup, pytest_terminal_summary  # noqa: F401

# A dataset, features and classifiers in one file, quick enough to run by the dozen.
TINY = '''
"""Tiny plug-ins for tests."""
import time
import numpy as np
from bench.api import Classifier, Dataset, FaceInput, Features, Network, param
from bench.api import TEST, TRAIN, VALID, FaceSet


class Tiny(Dataset):
    """Noise whose halves show two of three labels."""
    name = "tiny"
    embedded = True
    images: int = param(60, ge=10)

    def load(self, root, protocol=""):
        rng = np.random.default_rng(0)
        labels = rng.random((self.images, 3)) < 0.5
        images = rng.integers(0, 100, size=(self.images, 12, 12), dtype=np.uint8)
        images[labels[:, 0], :, :6] += 60
        images[labels[:, 1], :, 6:] += 60
        part = np.array([TRAIN, TRAIN, TRAIN, VALID, TEST])[np.arange(self.images) % 5]
        return FaceSet("tiny", "multi", ("left", "right", "noise"),
                       np.array([f"{i:04d}" for i in range(self.images)]), labels, images=images,
                       split=part.astype(np.int8), synthetic=True, notes=("made for a test",))


class Halves(Features):
    """Mean of each half."""
    name = "halves"
    stateless = True
    scale: float = param(1.0, gt=0)

    def transform(self, faces):
        x = faces.images.astype(np.float32)
        return np.stack([x[:, :, :6].mean((1, 2)), x[:, :, 6:].mean((1, 2))], 1) * self.scale


class Centred(Features):
    """Halves, centred on the training part."""
    name = "centred"
    stochastic = True

    def fit(self, faces, rng):
        self.mean_ = faces.images.mean()
        self.noise_ = rng.normal()
        return self

    def transform(self, faces):
        x = faces.images.astype(np.float32) - np.float32(self.mean_)
        right = x[:, :, 6:].mean((1, 2)) + self.noise_
        return np.stack([x[:, :, :6].mean((1, 2)), right], 1).astype(np.float32)


class Nearest(Classifier):
    """Labels of the nearest training row."""
    name = "nearest"
    wait: float = param(0.0, ge=0, help="seconds that fit sleeps")

    def fit(self, X, Y):
        time.sleep(self.wait)
        self.X_, self.Y_ = X, Y
        return self

    def scores(self, X):
        d = ((X[:, None] - self.X_[None]) ** 2).sum(2)
        order = d.argsort(1, kind="stable")[:, :5]
        return self.Y_[order].mean(1)

    def labels(self, X):
        return self.scores(X) >= 0.5


class Dice(Classifier):
    """Random scores."""
    name = "dice"
    stochastic = True

    def fit(self, X, Y):
        self.n_labels_ = Y.shape[1]
        return self

    def scores(self, X):
        return np.random.default_rng(self.random_state).random((len(X), self.n_labels_))

    def labels(self, X):
        return self.scores(X) >= 0.5


class Alone(Classifier):
    """Frequencies."""
    name = "alone"
    needs_features = False

    def fit(self, X, Y):
        self.p_ = Y.mean(0)
        return self

    def scores(self, X):
        return np.tile(self.p_, (len(X), 1))

    def labels(self, X):
        return self.scores(X) >= 0.5


class Net(Network):
    """A network that counts its training images and the budget it was given."""
    name = "net"
    input = FaceInput(size=6)
    seconds_per_1000 = {"smoke": 1.0, "paper": 600_000.0}

    def fit(self, faces, rng, valid=None):
        self.p_ = faces.labels.mean(0) + rng.normal(size=3) / 100
        self.seen_ = (len(faces), 0 if valid is None else len(valid), self.setting.budget)
        return self

    def remarks(self):
        return (f"saw {self.seen_}",)

    def transform(self, faces):
        assert faces.images.shape[1:] == (6, 6)
        assert not faces.labels.any()
        return faces.images.reshape(len(faces), -1).astype(np.float32)

    def scores(self, faces):
        return np.tile(self.p_, (len(faces), 1))

    def labels(self, faces):
        return self.scores(faces) >= 0.5
'''

# Ways in which a method can misbehave, one class each.
BROKEN = '''
"""Misbehaving plug-ins for tests."""
import os, time
import numpy as np
from bench.api import Classifier, Features, UnavailableError


class Base(Classifier):
    """Frequencies."""
    def fit(self, X, Y):
        self.p_ = Y.mean(0)
        return self

    def scores(self, X):
        return np.tile(self.p_, (len(X), 1))

    def labels(self, X):
        return self.scores(X) >= 0.5


class Raises(Base):
    """Raises."""
    name = "raises"
    def fit(self, X, Y):
        raise RuntimeError("no luck\\ntoday")


class Hangs(Base):
    """Hangs."""
    name = "hangs"
    def fit(self, X, Y):
        time.sleep(600)


class GivesNaN(Base):
    """Gives NaN."""
    name = "gives-nan"
    def scores(self, X):
        s = super().scores(X)
        s[2] = np.nan
        return s


class WrongShape(Base):
    """Gives one column."""
    name = "wrong-shape"
    def scores(self, X):
        return super().scores(X)[:, :1]


class SoftLabels(Base):
    """Gives scores for labels."""
    name = "soft-labels"
    def labels(self, X):
        return self.scores(X)


class Writes(Base):
    """Writes into its input."""
    name = "writes"
    def fit(self, X, Y):
        X -= X.mean(0)
        return super().fit(X, Y)


class Dies(Base):
    """Takes its process along."""
    name = "dies"
    def fit(self, X, Y):
        os._exit(7)


class Absent(Base):
    """Needs weights that are not there."""
    name = "absent"
    def fit(self, X, Y):
        raise UnavailableError("absent needs weights: give --weights PATH")


class BadFeatures(Features):
    """Gives NaN features."""
    name = "bad-features"
    stateless = True
    def transform(self, faces):
        return np.full((len(faces), 2), np.nan, np.float32)


class FewRows(Features):
    """Forgets a row."""
    name = "few-rows"
    stateless = True
    def transform(self, faces):
        return np.zeros((len(faces) - 1, 2), np.float32)
'''


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """File with the tiny plug-ins."""
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """File with the misbehaving plug-ins."""
    path = tmp_path / "misbehaving.py"
    path.write_text(BROKEN)
    return path


Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The command line, run in an empty folder: ``bench("run", "--dataset", "tiny")``."""

    def call(
        *words: object, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        folder = cwd or tmp_path / "here"
        folder.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", "bench", *map(str, words)],
            cwd=folder,
            env={**_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call


def _environment() -> dict[str, str]:
    """This one without what would change what bench does."""
    kept = {name: value for name, value in os.environ.items() if name != "BENCH_DATA"}
    return {**kept, "COLUMNS": "200"}
