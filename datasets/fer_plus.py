"""FER+: FER2013's faces with ten annotators' votes each, one class per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bench.datasets._ferplus import CLASSES, OBTAIN, panel_of_classes, processed, read_votes

from bench.api import TRAIN, Dataset, FaceSet, param
from bench.data.duplicates import COPIES, without_copies

# images in train / valid / test after processing label.csv, and fer2013new.csv, by one rule each
_COUNTS = {
    "majority": ((25045, 3191, 3137), (25060, 3199, 3153)),
    "probability": ((27947, 3508, 3507), (27956, 3505, 3505)),
    "cross-entropy": ((27947, 3508, 3507), (27956, 3505, 3505)),
    "multi-target": ((27667, 3472, 3466), (27671, 3472, 3472)),
}


class FERPlus(Dataset):
    """E. Barsoum, C. Zhang, C. Canton Ferrer and Z. Zhang, "Training deep networks for facial
    expression recognition with crowd-sourced label distribution", ICMI 2016, 279–283.

    Grey images of 48×48 pixels; eight classes; the authors' processing of the votes
    (`_ferplus.processed`). As in the authors' code, the choice of ``labels`` concerns train alone:
    valid and test are ``majority``, unless ``test=probability`` keeps in them what that rule keeps,
    which leaves 3,507 test images in place of 3,137: the accuracies of TFE-JL's Table 4 are whole
    images of 3,507 (or of FER2013's 3,589, whose labels it does not state). The class of an image
    is the largest share of its processed distribution, the first in class order where shares tie.

    Protocols: ``official``; ``no-duplicates``, in which train and valid lose every image that
    correlates above 0.9, straight or mirrored, with an image of a later part (FER2013 holds many
    stock photographs more than once).
    """

    name = "fer-plus"
    kind = "single"
    protocols = ("official", "no-duplicates")
    copies = COPIES
    obtain = OBTAIN
    labels: str = param(
        "majority",
        choices=tuple(_COUNTS),
        help="which votes of a training image count",
    )
    test: str = param(
        "majority",
        choices=("majority", "probability"),
        help="which votes of a validation or test image count; FER+'s authors: majority",
    )

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        """Read the images whose votes the processing keeps.

        Raises
        ------
        BenchError
            Naming file and line.
        """
        votes = read_votes(root)
        distribution, keep = processed(votes.votes, self.test)
        train = votes.split == TRAIN
        distribution[train], keep[train] = processed(votes.votes[train], self.labels)
        rows = np.flatnonzero(keep)
        rules = self.labels if self.test == "majority" else f"{self.labels}, test {self.test}"
        images, synthetic, joined = votes.images(rows)
        distribution = distribution[rows]
        labels = np.zeros(distribution.shape, dtype=bool)
        labels[np.arange(len(rows)), distribution.argmax(axis=1)] = True
        return FaceSet(
            name=self.name,
            kind=self.kind,
            label_names=CLASSES,
            ids=votes.ids[rows],
            labels=labels,
            images=images,
            distribution=distribution,
            votes=votes.votes[rows],
            split=votes.split[rows],
            synthetic=synthetic,
            notes=(*votes.notes, *joined, f"{len(rows)} of {len(votes.ids)} images kept ({rules})"),
        )

    def split(self, faces: FaceSet, protocol: str) -> np.ndarray:
        """Part of each image; ``no-duplicates`` leaves out the copies of later images."""
        split = super().split(faces, protocol)
        if protocol == "no-duplicates":
            return without_copies(faces, split)
        return split

    def panel(self, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Shares of the eight classes, and the largest."""
        return panel_of_classes(votes)

    def check(self, faces: FaceSet) -> list[str]:
        """The counts, where they are those of neither vote file."""
        counts = tuple(np.bincount(self.split(faces, "official"), minlength=3).tolist())
        known = [
            (train, *rest)
            for (train, *_), (_, *rest) in zip(
                _COUNTS[self.labels], _COUNTS[self.test], strict=True
            )
        ]
        if counts in known:
            return []
        expected = " or ".join("/".join(map(str, of_file)) for of_file in known)
        return [
            f"{'/'.join(map(str, counts))} images in train/valid/test with labels={self.labels}, "
            f"test={self.test}; FER+'s own files give {expected}"
        ]
