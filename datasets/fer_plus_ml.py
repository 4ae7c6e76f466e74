"""FER+ multi-label: blended expressions chosen from FER+ by RAF-ML's rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bench.datasets._ferplus import EMOTIONS, OBTAIN, panel_of_sets, read_votes, six_emotions

from bench.api import Dataset, FaceSet, param
from bench.data.duplicates import COPIES, without_copies
from bench.data.predominant import predominant

# train / valid / test and images per label, from label.csv and from fer2013new.csv
_COUNTS = (
    ((4772, 586, 607), (3513, 2289, 764, 1682, 1904, 2489)),
    ((4767, 582, 605), (3518, 2269, 765, 1681, 1889, 2475)),
)


class FERPlusML(Dataset):
    """An open multi-label benchmark that anyone can rebuild from FER+ votes.

    Votes: E. Barsoum et al., ICMI 2016. Selection rule: S. Li and W. Deng, IJCV 127 (2019)
    884–906, with two additions (`_ferplus.six_emotions`): FER+'s outlier step, and that
    at least two emotions remain. Grey images of 48×48 pixels; RAF-ML's six labels in its order;
    the distribution is the votes' shares among the six.

    ``labels=predominant`` gives one class per image instead (`bench.data.predominant`).

    Protocols: ``official`` is free of duplicates: train and valid lose every image that correlates
    above 0.9, straight or mirrored, with an image of a later part, since FER2013 holds many stock
    photographs more than once. ``with-duplicates`` keeps all. Fit on train, select on valid,
    report on test.
    """

    name = "fer-plus-ml"
    kind = "multi"
    protocols = ("official", "with-duplicates")
    copies = COPIES
    obtain = OBTAIN
    labels: str = param(
        "set",
        choices=("set", "predominant"),
        help="predominant: one class per image, the largest share of its distribution",
    )

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        """Read the images that the rule selects, copies included.

        Raises
        ------
        BenchError
            Naming file and line.
        """
        votes = read_votes(root)
        distribution, labels, keep = six_emotions(votes.votes)
        rows = np.flatnonzero(keep)
        images, synthetic, joined = votes.images(rows)
        faces = FaceSet(
            name=self.name,
            kind=self.kind,
            label_names=EMOTIONS,
            ids=votes.ids[rows],
            labels=labels[rows],
            images=images,
            distribution=distribution[rows],
            votes=votes.votes[rows],
            split=votes.split[rows],
            synthetic=synthetic,
            notes=(*votes.notes, *joined, f"{len(rows)} of {len(votes.ids)} images selected"),
        )
        return predominant(faces) if self.labels == "predominant" else faces

    def split(self, faces: FaceSet, protocol: str) -> np.ndarray:
        """Part of each image; ``official`` leaves out the copies of later images."""
        split = super().split(faces, protocol)
        if protocol == "official":
            return without_copies(faces, split)
        return split

    def panel(self, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Shares of the six emotions; of label sets alone."""
        return panel_of_sets(votes) if self.labels == "set" else None

    def check(self, faces: FaceSet) -> list[str]:
        """The counts, where they are those of neither vote file."""
        parts = tuple(np.bincount(self.split(faces, "with-duplicates"), minlength=3).tolist())
        if faces.kind == "single":  # nobody has published how often each is predominant
            known = [counts for counts, _ in _COUNTS]
            if parts in known:
                return []
            return [f"{parts} images in train, valid, test; FER+'s own files give one of {known}"]
        labels = tuple(np.count_nonzero(faces.labels, axis=0).tolist())
        if (parts, labels) in _COUNTS:
            return []
        return [
            f"{parts} images in train, valid, test and {labels} per label; FER+'s label.csv gives "
            f"{_COUNTS[0]}, its fer2013new.csv {_COUNTS[1]}"
        ]
