"""md-cnn: two networks, each pre-trained on one dataset and fine-tuned on the other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from bench.methods._md import ABSENT, POINTS, Component, ComponentCNN, Integrated
from bench.methods._md_landmarks import (
    images_with_landmarks,
    landmark_loss,
    landmark_measures,
    mean_shape,
    pack_landmarks,
    unpack_landmarks,
)
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bench.api import LEFT_OUT, TRAIN, VALID, BenchError, FaceInput, FaceSet, InputError, param
from bench.data.duplicates import same_images
from bench.data.mapping import in_columns, onto
from bench.data.prepare import prepare
from bench.nn.losses.center import center
from bench.nn.losses.centres import ClassCentres
from bench.nn.losses.md import md_loss
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.one_class import OneClassNetwork, as_classes
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, Adam, OneCycle, Recipe, Steps
from bench.nn.train import TrainingSummary

# Radioengineering 2020, section 4; momentum and mirroring are ours.
_TENTHS = Steps(tuple(range(10_000, 60_000, 10_000)))  # the rate is next to nothing after that
_PAPER = Recipe(SGD(0.01), batch=256, epochs=200, schedule=_TENTHS, size=48, flip=True)
# Ours, for a laptop: smaller images, and an optimiser that soon leaves the plateau where a deep
# network without normalisation starts.
_QUICK = Recipe(
    Adam(1e-3), batch=32, iterations=250, schedule=OneCycle(), size=32, flip=True, drop_last=True
)
PRETRAINING = (
    {"paper": _PAPER, "quick": _QUICK},
    {"paper": replace(_PAPER, epochs=311), "quick": _QUICK},
)
TUNING = {
    "paper": replace(_PAPER, optimizer=SGD(0.001)),
    "quick": replace(_QUICK, optimizer=Adam(5e-4), iterations=90),
}


class TwoDatasetNetwork(OneClassNetwork):
    """A network that learns the run's dataset and ``second``, in the label columns of the former.

    Labels are matched by name, capitals and small letters being the same. Faces of ``second`` whose
    class the run's dataset lacks are left out. The official training part of ``second`` is learned,
    or all of it where it has no parts. Where ``second`` holds images of the run's training part
    (pixel by pixel), both datasets have one origin, and further images of ``second`` may be test
    images of the run: then the shared images alone are learned.

    Attributes
    ----------
    second_ : FaceSet or None
        After `check`: ``second`` as single-label data, in the columns of the run's dataset.
    common_ : tuple of int
        Columns of the labels that both datasets have.
    shapes_ : list of (float32 (5, 2) or None)
        Mean landmarks of the training part and of ``second``; None where a dataset has none.
    """

    companions = {"second": "labelled"}

    second: str | None = param(None, help="the other dataset to learn: NAME:DIR")

    def check(self, train: FaceSet) -> None:
        """Match the labels of both datasets.

        Raises
        ------
        BenchError
            The second dataset is missing, the datasets have fewer than two labels in common, or the
            training part shows fewer than two classes.
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
        mapped, self.common_, mapping = onto(train, as_classes(second))
        self._remark(f"{self.name}: second={second.name}: {mapping}")
        self.second_ = prepare(in_columns(mapped, train.label_names, self.common_), self.input)
        self.shapes_[1] = mean_shape(self.second_)

    def shape(self) -> np.ndarray | None:
        """The mean landmarks of the first dataset that has any, float32 (5, 2)."""
        return next((shape for shape in self.shapes_ if shape is not None), None)

    def inputs(
        self, pixels: Tensor, faces: FaceSet, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Images with packed landmarks (`pack_landmarks`), both mirrored in training."""
        flip = generator is not None and self.recipe.flip
        draws = torch.rand(len(rows), generator=generator) if flip else None
        images, points, known = images_with_landmarks(pixels, faces, rows, draws)
        return pack_landmarks(self.normalised(images), points, known)

    def second_parts(self, train: FaceSet, seed: int) -> tuple[FaceSet, FaceSet | None]:
        """Training and validation part of ``second``.

        Parameters
        ----------
        train : FaceSet
            The run's training part, the only part of its dataset that may be learned.
        seed : int
            Decides which images are held out for validation, where ``second`` has no such part.

        Raises
        ------
        BenchError
            Fewer than two images are left to learn from.
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
        return self.training_parts(second.take(learned), np.random.default_rng(seed), valid)

    def _remark(self, note: str) -> None:
        if note not in self.notes_:  # fine-tuning on another dataset matches the labels again
            self.notes_.append(note)


class Lesson(nn.Module):
    """A component while it learns one dataset, and chooses among the labels of that dataset alone.

    The logits of all other labels are held at `ABSENT`. Otherwise every face of the dataset would
    push them down, though no face of it says that such a label is absent.

    Parameters
    ----------
    component : Component
        The component, which is trained in place.
    dataset : int
        The dataset's number, which chooses among the component's class centres.
    columns : sequence of int
        Columns of the labels that the dataset has.
    """

    def __init__(self, component: Component, dataset: int, columns: Sequence[int]) -> None:
        super().__init__()
        centres = component.centres[dataset]
        assert isinstance(centres, ClassCentres)
        self.network, self.centres = component.network, centres
        self.columns = sorted(columns)

    def forward(self, packed: Tensor) -> Output:
        """As `Component`, with `ABSENT` for the logits of the other labels.

        ``other`` (n, 21) holds the points of the landmark head, the true landmarks and whether they
        are known; None without a head.
        """
        faces = unpack_landmarks(packed)
        out: Output = self.network(faces.images)
        logits = torch.full_like(out.logits, ABSENT)
        logits[:, self.columns] = out.logits[:, self.columns]
        if out.other is None:
            return Output(out.embedding, logits)
        landmarks = [out.other.flatten(1), faces.points.flatten(1), faces.known[:, None]]
        return Output(out.embedding, logits, other=torch.cat([t.float() for t in landmarks], dim=1))

    def loss(
        self,
        out: Output,
        batch: Batch,
        loss_name: str = "md",
        weight: float = 0.01,
        nearest: int = 3,
        landmark: float = 1.0,
    ) -> Terms:
        """L_softmax + λ L_MD + the landmarks' loss; in training the centres move afterwards.

        Eq. 10 and Algorithm 1 add the losses of both datasets; here each lesson has the loss of
        one.

        Parameters
        ----------
        loss_name : {"md", "center", "softmax"}
            The loss beside the softmax cross-entropy; softmax: none.
        weight, landmark : float
            λ, and the weight of the landmarks' loss.
        nearest : int
            P of `md_loss`.
        """
        classes = batch.distribution.argmax(dim=1)
        target = one_hot(classes, batch.labels.shape[1])
        parts = {"cross_entropy": multilabel_softmax(out.logits, target)}
        total = parts["cross_entropy"]
        if loss_name != "softmax":
            # Only the centres of the dataset's own labels attract and repel.
            own = torch.tensor(self.columns, device=classes.device)
            centres, places = self.centres.centres[own], torch.searchsorted(own, classes)
            if loss_name == "md":
                parts["md"] = md_loss(out.embedding, centres, places, nearest)
            else:
                parts["center"] = center(out.embedding, centres, places)
            total = total + weight * parts[loss_name]
            if self.training:
                self.centres.update(out.embedding.detach(), classes)
        if out.other is not None:
            predicted, points, known = out.other.split([POINTS, POINTS, 1], dim=1)
            parts["landmarks"] = landmark_loss(
                predicted.unflatten(1, (5, 2)), points.unflatten(1, (5, 2)), known[:, 0] > 0
            )
            total = total + landmark * parts["landmarks"]
        return Terms(total, parts)


class LessonPlan(NamedTuple):
    """A lesson before it begins: which component learns which dataset, by which schedules.

    Attributes
    ----------
    name : str
        The name of the training phase.
    component, dataset : int
        0 or 1; dataset 0 is that of the run.
    recipes : mapping of str to Recipe
        By budget.
    """

    name: str
    component: int
    dataset: int
    recipes: Mapping[str, Recipe]


class MDCNN(TwoDatasetNetwork):
    """The multi-dataset network, Radioengineering 2020: two component CNNs (`_md`).

    Component 1 learns the dataset of the run, component 2 ``second``; then each goes on with the
    other's dataset (``exchange=swap``). Their answers are summed, S_i = Σ λ_j C_{j,i}, λ equal. The
    loss is L_softmax + λ L_MD (`bench.nn.losses.md`) with centres for each component and dataset.
    Grey, 48×48; batches of 256; 200 epochs, 311 of component 2, rate 0.01, then 200 at 0.001, both
    divided by 10 every 10,000 iterations. The embedding is both components', 4096-d.

    Labels: the largest S; on multi-label data (``target=argmax``: each face's strongest label is
    learned) S >= the threshold with the best micro-F1 on the validation part.

    S is a sum over the labels that both datasets have, matched by name; on labels that ``second``
    lacks, the component that learned the run's dataset last decides alone (`_md.integrated`). In
    the paper both datasets have the same labels. C_j is a softmax. `TwoDatasetNetwork` says which
    faces of ``second`` are learned.

    Where faces have landmarks, a landmark head learns how far five points lie from their mean
    shape. The record has its mean error in inter-ocular distances beside that of the mean shape,
    its cumulative error curve and, apart from the accuracy, (TP + TN)/N of each class (Eq. 11).

    Deviations: the paper's MTE data are private; any two datasets serve. P = 3, α = 0.5, λ = 0.01,
    the momentum 0.9, mirroring, the standardisation of each image by its own mean and deviation,
    the landmark loss and what stood in the lost Figure 4 are ours; dropout of .65 is read as the
    share kept. Budget ``quick`` (ours): 32×32, 250 iterations each and 90 after the exchange.
    Placebos: ``exchange=stay`` goes on as long on the own dataset, ``none`` stops before;
    ``centres=fixed``; ``loss=softmax``. One component: ``exchange=none,weight=1`` (without
    ``second``; ``component=2`` trains it for 311 epochs), ``weight=0``.
    """

    name = "md-cnn"
    kinds = ("single",)
    by_name_only = True
    input = FaceInput(colour="grey")
    recipes = PRETRAINING[0]
    sums_over_samples = False
    small = {**TwoDatasetNetwork.small, "exchange": "none"}
    seconds_per_1000 = {"smoke": 3.0, "quick": 8.0, "paper": 30_000.0}

    loss_name: str = param(
        "md", choices=("md", "center", "softmax"), help="beside the softmax", spelling="loss"
    )
    lam: float = param(0.01, ge=0, help="λ, weight of the loss with class centres")
    nearest: int = param(3, ge=1, help="P, other centres that L_MD looks at")
    alpha: float = param(0.5, ge=0, le=1, help="α, the centres' rate")
    centres: str = param("moving", choices=("moving", "fixed"), help="fixed is a placebo")
    exchange: str = param(
        "swap", choices=("swap", "stay", "none"), help="whose dataset fine-tuning takes"
    )
    weight: float = param(0.5, ge=0, le=1, help="λ_1 of component 1 in S; λ_2 is the rest")
    component: int = param(
        1, ge=1, le=2, help="alone on one dataset: which component's schedule, 200 or 311 epochs"
    )
    dropout: float = param(0.35, ge=0, lt=1, help="share of the 2048-d layers dropped")
    landmark: float = param(10.0, ge=0, help="weight of the landmark loss; 0: no head")

    lesson_: Lesson | None = None  # the lesson that is learned now

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        super().__init__(member=member, **params)
        if self.component != 1 and self.requires():
            raise InputError(
                f"md-cnn[component={self.component}] has both components' schedules where it "
                "learns two datasets: leave component out, or take exchange=none,weight=1"
            )

    def requires(self) -> tuple[str, ...]:
        """The second dataset, unless component 2 has no say."""
        return () if self.exchange == "none" and self.weight == 1 else ("second",)

    def build(self, labels: int, channels: int) -> Integrated:
        """Two components, or the one that has a say, with centres for both datasets."""
        last = {lesson.component: lesson.dataset for lesson in self.lessons()}
        weights = [self.weight, 1 - self.weight][: len(last)]
        located = [self.landmark > 0 and shape is not None for shape in self.shapes_]
        shape = self.shape() if any(located) else None
        components = [
            Component(
                ComponentCNN(labels, channels, self.recipe.size, 1 - self.dropout, shape),
                self.alpha,
                moving=self.centres == "moving",
            )
            for _ in last
        ]
        whole = next(component for component, dataset in last.items() if dataset == 0)
        # Where one dataset alone has landmarks, the component that learned it last gives them.
        points = weights if all(located) else [float(located[last[j]]) for j in range(len(last))]
        return Integrated(components, self.common_, weights, whole, points)

    def lessons(self) -> list[LessonPlan]:
        """The lessons in their order."""
        if not self.requires():
            recipes = PRETRAINING[self.component - 1]
            return [LessonPlan(f"component-{self.component}", 0, 0, recipes)]
        first = LessonPlan("component-1", 0, 0, PRETRAINING[0])
        second = LessonPlan("component-2", 1, 1, PRETRAINING[1])
        if self.exchange == "none":
            return [first, second]
        swap = int(self.exchange == "swap")
        return [
            first,
            second,
            LessonPlan("component-1-tuned", 0, swap, TUNING),
            LessonPlan("component-2-tuned", 1, 1 - swap, TUNING),
        ]

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """Pre-training of each component, then fine-tuning: the lessons, each a phase."""
        assert isinstance(model, Integrated)
        parts = [(as_classes(train), valid)]
        columns: list[Sequence[int]] = [range(self.labels_), self.common_]
        if self.second_ is not None:
            parts.append(self.second_parts(train, seed))
        for number, plan in enumerate(self.lessons()):
            component = model.components[plan.component]
            self.lesson_ = Lesson(component, plan.dataset, columns[plan.dataset])
            recipe = self.budgeted(plan.recipes)
            train_part, valid_part = parts[plan.dataset]
            summary = self.phase(
                plan.name, self.lesson_, recipe, train_part, valid_part, seed + number
            )
        self.lesson_ = None
        return summary

    def loss(self, out: Output, batch: Batch) -> Terms:
        """The loss of the lesson; the softmax cross-entropy where the integrated network trains."""
        if self.lesson_ is None:
            return super().loss(out, batch)
        return self.lesson_.loss(out, batch, self.loss_name, self.lam, self.nearest, self.landmark)

    def normalised(self, images: Tensor) -> Tensor:
        """Standardised images: light and contrast, which vary with the photograph, do not count."""
        return standardised(images)

    def fitted(self, summary: TrainingSummary, valid: FaceSet | None) -> list[str]:
        """Which component decides alone, and on how many labels."""
        assert isinstance(self.model_, Integrated)
        alone, component = self.labels_ - len(self.common_), self.model_.whole + 1
        if not alone:
            return []
        return [
            f"md-cnn: component {component} decides alone on the {alone} label(s) that second lacks"
        ]

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """Eq. 11 by class and its mean; where landmarks are known, the landmark head's errors."""
        by_class = binary_accuracy(faces.labels, self.labels(faces))
        named = zip(faces.label_names, by_class, strict=True)
        measures = {"tp_tn_accuracy": float(by_class.mean())}
        measures |= {f"tp_tn_accuracy_{name}": float(value) for name, value in named}
        points = self.forward(faces).other
        if points is not None and (shape := self.shape()) is not None:
            measures |= landmark_measures(points.cpu().numpy(), shape, faces)
        return measures


def binary_accuracy(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(TP_i + TN_i)/N of each class i (Radioengineering 2020, Eq. 11), float64 (L,).

    True negatives count as right, so that a class that is never predicted has the share of all
    other classes. So this is no accuracy of a classification, and stands in no table beside one.

    Parameters
    ----------
    truth, predicted : bool (n, L)
    """
    return np.asarray((truth == predicted).mean(axis=0))


def standardised(images: Tensor, least: float = 8.0) -> Tensor:
    """Each image less its mean, divided by its deviation over all pixels and channels.

    Parameters
    ----------
    images : uint8 (n, C, H, W)
    least : float
        The least divisor, in grey values, so that the noise of an even image is not blown up.

    Returns
    -------
    float (n, C, H, W)
        Channels last in memory.
    """
    deviation, mean = torch.std_mean(images.float(), dim=(1, 2, 3), correction=0, keepdim=True)
    scaled = (images - mean) / deviation.clamp(min=least)
    return scaled.contiguous(memory_format=torch.channels_last)
