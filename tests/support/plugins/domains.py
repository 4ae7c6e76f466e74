"""Datasets of several label sets, and networks that remark what they were trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from bench.api import TEST, TRAIN, Dataset, FaceSet, Network, param


def noise(
    name: str, names: tuple[str, ...], kind: str, n: int, seed: int, split: bool = True
) -> FaceSet:
    """Images of noise, whose labels follow their number."""
    rng = np.random.default_rng(seed)
    if kind == "single":
        labels = np.eye(len(names), dtype=bool)[np.arange(n) % len(names)]
    else:
        # Two of eight faces show the third label alone.
        bits = np.array([[i & 1, i & 2, i & 4 or i % 8 == 0] for i in range(n)]).reshape(n, 3)
        labels = bits[:, : len(names)] > 0
    images = rng.integers(0, 255, (n, 12, 12), dtype=np.uint8)
    part = np.where(np.arange(n) % 4 == 3, TEST, TRAIN).astype(np.int8) if split else None
    ids = np.array([f"{name}-{i:03d}" for i in range(n)])
    return FaceSet(name, kind, names, ids, labels, images=images, split=part, synthetic=True)


class From(Dataset):
    """What a network is trained on."""

    name = "from"
    embedded = True
    seed: int = param(0, ge=0)

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        return noise("from", ("joy", "awe", "fear"), "multi", 40, self.seed)


class To(Dataset):
    """Two labels of `From` in another order, and one of its own."""

    name = "to"
    embedded = True
    kind_of: str = param("multi", choices=("multi", "single"))

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        return noise("to", ("fear", "joy", "calm"), self.kind_of, 48, 7)


class Ones(Dataset):
    """Two labels of `From`, one for each face."""

    name = "ones"
    kind = "single"
    embedded = True

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        return noise("ones", ("joy", "fear"), "single", 24, 3)


class Elsewhere(Dataset):
    """The labels of `From`, in a folder."""

    name = "elsewhere"
    protocols = ()
    obtain = "Ask."

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        assert root is not None
        seed = int((root / "seed.txt").read_text())
        return noise("elsewhere", ("joy", "awe", "fear"), "multi", 30, seed, split=False)


class Strange(Dataset):
    """No label of `From`."""

    name = "strange"
    embedded = True

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        return noise("strange", ("x", "y"), "multi", 20, 1)


class Nobody(Dataset):
    """The labels of `From`, and no face."""

    name = "nobody"
    embedded = True

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        return noise("nobody", ("joy", "awe", "fear"), "multi", 0, 1)


class Echo(Network):
    """Scores that follow the column's number; its remarks say what it was trained and tuned on."""

    name = "echo"
    kinds = ("multi", "single")
    companions = {"second": "labelled", "target": "unlabelled"}
    second: str | None = param(None)
    target: str | None = param(None)
    needed: bool = param(False)
    tuned: bool = param(False)

    def requires(self) -> tuple[str, ...]:
        return ("second",) if self.needed else ()

    def tunes(self) -> bool:
        return self.tuned

    def fit(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        self.seen_ = [f"fit {faces.name} {len(faces)} {faces.kind}"]
        for name, other in sorted(self.setting.others.items()):
            self.seen_.append(f"{name} {other.name} {len(other)} {other.kind} {other.labels.any()}")
        self.labels_ = len(faces.label_names)
        return self

    def tune(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        names = ",".join(faces.label_names)
        shown = faces.labels.any(axis=0).astype(int).tolist()
        self.seen_.append(f"tune {faces.name} {len(faces)} {faces.kind} {names} {shown}")
        return self

    def transform(self, faces: FaceSet) -> np.ndarray:
        return faces.images.reshape(len(faces), -1)[:, :3].astype(np.float32)

    def scores(self, faces: FaceSet) -> np.ndarray:
        return np.tile(np.arange(self.labels_) / 10 + 0.1, (len(faces), 1))

    def labels(self, faces: FaceSet) -> np.ndarray:
        return self.scores(faces) >= 0.25

    def remarks(self) -> tuple[str, ...]:
        return tuple(self.seen_)

    def measures(self, faces: FaceSet) -> dict[str, float]:
        return {"tested": float(len(faces)), "labels": float(len(faces.label_names))}


class FirstPixels(Echo):
    """Scores that are the first pixels."""

    name = "first-pixels"

    def scores(self, faces: FaceSet) -> np.ndarray:
        return faces.images.reshape(len(faces), -1)[:, : self.labels_] / 256.0
