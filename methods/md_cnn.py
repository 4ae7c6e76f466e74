"""md-cnn: two networks, each pre-trained on one dataset and fine-tuned on the other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bench.methods._landmarks import landmark_measures
from bench.methods._md import (
    PRETRAINING,
    TUNING,
    Component,
    ComponentCNN,
    Integrated,
    Lesson,
    binary_accuracy,
)
from bench.methods._second import TwoDatasetNetwork
from torch import Tensor, nn

from bench.api import FaceInput, FaceSet, param
from bench.nn.faces import standardised
from bench.nn.one_class import as_classes
from bench.nn.recipe import Recipe
from bench.nn.train import TrainingSummary


class MDCNN(TwoDatasetNetwork):
    """The multi-dataset network, Radioengineering 2020: two component CNNs (`_md`).

    Component 1 learns the dataset of the run, component 2 ``second``; then each goes on with the
    other's dataset (``exchange=swap``). Their answers are summed, S_i = Σ λ_j C_{j,i}, λ equal. The
    loss is L_softmax + λ L_MD (`bench.nn.losses.md`) with centres for each component and dataset.
    Grey, 48×48; batches of 256; 200 epochs, 311 of component 2, rate 0.01, then 200 at 0.001, both
    divided by 10 every 10,000 iterations. The embedding is both components', 4096-d.

    Labels: the largest S; on multi-label data (``target=argmax``: each face's strongest label is
    learned) S >= the threshold with the best micro-F1 on the validation part.

    S is a sum over the labels that both datasets have, matched by name; on those that ``second``
    lacks, the component that learned the run's dataset last decides alone
    (`_md.integrated`). The paper's label sets agree. C_j is a softmax. Which faces of
    ``second`` are learned: `_second`.

    A landmark head learns how far five points lie from the mean shape where faces have them. The
    record says its mean error in inter-ocular distances beside that of the mean shape, its
    cumulative error curve and, apart from the accuracy, (TP + TN)/N of each class (Eq. 11).

    Deviations: the paper's MTE data are private; any two datasets serve. P = 3, α = 0.5, λ = 0.01,
    the momentum 0.9, mirroring, pixels less their mean by their deviation in each image, the
    landmark loss and what stood in the lost Figure 4 are ours; dropout of .65 is read as the share
    kept. Budget ``quick`` (ours): 32×32, 250 iterations each and 90 after the exchange. Placebos:
    ``exchange=stay`` goes on as long on the own dataset, ``none`` stops before; ``centres=fixed``;
    ``loss=softmax``. One component: ``exchange=none,weight=1`` (without ``second``), ``weight=0``.
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
    dropout: float = param(0.35, ge=0, lt=1, help="share of the 2048-d layers dropped")
    landmark: float = param(10.0, ge=0, help="weight of the landmark loss; 0: no head")

    def requires(self) -> tuple[str, ...]:
        """No second dataset where component 2 has no say."""
        return () if self.exchange == "none" and self.weight == 1 else ("second",)

    def build(self, labels: int, channels: int) -> Integrated:
        """Two components, or the one that has a say, with centres for both datasets."""
        last = {component: dataset for _, component, dataset, _ in self.lessons()}
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
        # Points that one dataset has are those of the component that learned it last.
        shown = weights if all(located) else [float(located[last[j]]) for j in range(len(last))]
        return Integrated(components, self.common_, weights, whole, shown)

    def lessons(self) -> list[tuple[str, int, int, Mapping[str, Recipe]]]:
        """What is learned in turn: its name, the component, the dataset, the schedules."""
        first, second = ("component-1", 0, 0, PRETRAINING[0]), ("component-2", 1, 1, PRETRAINING[1])
        if not self.requires():
            return [first]
        if self.exchange == "none":
            return [first, second]
        swap = int(self.exchange == "swap")
        tuned = [("component-1-tuned", 0, swap, TUNING), ("component-2-tuned", 1, 1 - swap, TUNING)]
        return [first, second, *tuned]

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """Pre-training of each component, then fine-tuning."""
        assert isinstance(model, Integrated)
        parts = [(as_classes(train), valid)]
        columns: list[Sequence[int]] = [range(self.labels_), self.common_]
        if self.second_ is not None:
            parts.append(self.second_parts(train, seed))
        for number, (name, component, dataset, recipes) in enumerate(self.lessons()):
            lesson = Lesson(model.components[component], dataset, columns[dataset])
            loss = partial(lesson.terms, loss=self.loss_name, weight=self.lam)
            loss = partial(loss, landmark=self.landmark, nearest=self.nearest)
            recipe = self.budgeted(recipes)
            told = self.phase(name, lesson, recipe, *parts[dataset], seed + number, loss)
        return told

    def normalised(self, images: Tensor) -> Tensor:
        """Light and contrast differ from photograph to photograph: neither counts here."""
        return standardised(images)

    def fitted(self, summary: TrainingSummary, valid: FaceSet | None) -> list[str]:
        """Who answers alone, and on how many labels."""
        assert isinstance(self.model_, Integrated)
        alone, who = self.labels_ - len(self.common_), self.model_.whole + 1
        said = f"md-cnn: component {who} decides alone on the {alone} label(s) that second lacks"
        return [said] if alone else []

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """Eq. 11 by class and its mean; where landmarks are known, how well they are found."""
        each = binary_accuracy(faces.labels, self.labels(faces))
        named = zip(faces.label_names, each, strict=True)
        found = {"tp_tn_accuracy": float(each.mean())}
        found |= {f"tp_tn_accuracy_{name}": float(value) for name, value in named}
        points = self._forward(faces).other
        if points is not None and (shape := self.shape()) is not None:
            found |= landmark_measures(points.cpu().numpy(), shape, faces)
        return found
