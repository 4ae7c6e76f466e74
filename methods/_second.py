"""Networks that learn a second dataset beside that of the run: whose labels, which of its rows."""

from __future__ import annotations

import numpy as np
import torch
from bench.methods._landmarks import located, mean_shape, packed
from torch import Tensor

from bench.api import LEFT_OUT, TRAIN, VALID, BenchError, FaceSet, param
from bench.data.duplicates import same_images
from bench.data.mapping import in_columns, onto
from bench.data.prepare import prepare
from bench.nn.one_class import OneClassNetwork, as_classes


class TwoDatasetNetwork(OneClassNetwork):
    """A network that learns the run's dataset and ``second``, in the label columns of the former.

    Labels are matched by name, capitals and small letters being the same. Faces of ``second`` whose
    class the run's dataset lacks are left out. Its official training part is learned, all of it
    where it has no parts. Where it holds images of the run's training part (pixel by pixel), the
    two are of one origin, and its other images may be test images here: then the shared ones alone
    are learned.

    Attributes
    ----------
    second_ : FaceSet or None
        After `check`: ``second`` as single-label data, in the columns of the run's dataset.
    common_ : tuple of int
        Columns of the labels that both have.
    shapes_ : list of (float32 (5, 2) or None)
        Mean landmarks of the training part, and of ``second``; None where there are none.
    """

    companions = {"second": "labelled"}

    second: str | None = param(None, help="the other dataset to learn: NAME:DIR")

    def check(self, train: FaceSet) -> None:
        """Match the labels.

        Raises
        ------
        BenchError
            Fewer than two labels, or classes of the training part, to tell apart.
        """
        super().check(train)
        self.second_: FaceSet | None = None
        self.common_ = tuple(range(len(train.label_names)))
        self.shapes_ = [mean_shape(train), None]
        if "second" not in self.requires():
            return
        second = self.setting.others.get("second")
        if second is None:
            raise BenchError(
                f"{self.name} learns from two datasets: name the other one, "
                f"{self.name}[second=NAME:DIR]"
            )
        mapped, self.common_, told = onto(train, as_classes(second))
        self._remark(f"{self.name}: second={second.name}: {told}")
        self.second_ = prepare(in_columns(mapped, train.label_names, self.common_), self.input)
        self.shapes_[1] = mean_shape(self.second_)

    def shape(self) -> np.ndarray | None:
        """Mean landmarks of the first dataset that has any."""
        return next((shape for shape in self.shapes_ if shape is not None), None)

    def inputs(
        self, pixels: Tensor, faces: FaceSet, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Images with their landmarks, both mirrored in training."""
        flip = generator is not None and self.recipe.flip
        draws = torch.rand(len(rows), generator=generator) if flip else None
        images, points, known = located(pixels, faces, rows, draws)
        return packed(self.normalised(images), points, known)

    def second_parts(self, train: FaceSet, seed: int) -> tuple[FaceSet, FaceSet | None]:
        """Training and validation part of ``second``.

        Parameters
        ----------
        train : FaceSet
            The run's training part, the only part of its dataset that may be learned.
        seed : int
            Of what is held out for validation, where ``second`` has no such part.

        Raises
        ------
        BenchError
            Fewer than two images are left.
        """
        second = self.second_
        assert second is not None
        assert second.images is not None
        assert train.images is not None
        parts = np.zeros(len(second), int) if second.split is None else second.split
        shared = same_images(second.images, train.images)
        if shared.any():
            self._remark(
                f"{self.name}: {second.name} and {train.name} share images: of the former, only "
                f"those {int(shared.sum())} are learned that the training part of the latter "
                f"holds, and {int((~shared).sum())} are left out, for they may be its test images"
            )
            parts = np.where(shared, parts, LEFT_OUT)
        learned, chosen_on = np.flatnonzero(parts == TRAIN), np.flatnonzero(parts == VALID)
        if len(learned) < 2:
            raise BenchError(
                f"{self.name}: {len(learned)} image(s) of {second.name} are left to learn from; "
                "name another second dataset"
            )
        valid = second.take(chosen_on) if len(chosen_on) else None
        return self._parts(second.take(learned), np.random.default_rng(seed), valid)

    def _remark(self, note: str) -> None:
        if note not in self.notes_:  # where training goes on, labels are matched again
            self.notes_.append(note)
