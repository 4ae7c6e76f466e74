"""The component CNN of the multi-dataset network, and the integration of two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from bench.methods._landmarks import landmark_loss, unpacked
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bench.nn.losses.center import center
from bench.nn.losses.centres import ClassCentres
from bench.nn.losses.md import md_loss
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, Adam, OneCycle, Recipe, Steps

WIDTH = 2048  # of both fully connected layers
DATASETS = 2
ABSENT = -1e4  # as a logit: a softmax of 0, and still a number
_POINTS = 10  # coordinates of five landmarks

# Radioengineering 2020, section 4; momentum and mirroring are ours.
_TENTHS = Steps(tuple(range(10_000, 60_000, 10_000)))  # no rate is left after that
_PAPER = Recipe(SGD(0.01), batch=256, epochs=200, schedule=_TENTHS, size=48, flip=True)
# Of ours, for a laptop: smaller images, and an optimiser that soon leaves the plateau where a deep
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


class CReLU(nn.Module):
    """[ReLU(x), ReLU(−x)]: twice the channels (W. Shang et al., ICML 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        """From (n, C, H, W) to (n, 2C, H, W)."""
        return torch.relu(torch.cat([x, -x], dim=1))


class Inception(nn.Module):
    """Four branches side by side (C. Szegedy et al., CVPR 2015, Figure 2b), 256 channels in all.

    1×1 (64) | 1×1 (96) – 3×3 (128) | 1×1 (16) – 5×5 (32) | 3×3 max pool – 1×1 (32); a ReLU after
    every convolution. The widths are those of GoogLeNet's first module: the paper's are lost.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = _convolution(channels, 64, 1)
        self.three = nn.Sequential(_convolution(channels, 96, 1), _convolution(96, 128, 3))
        self.five = nn.Sequential(_convolution(channels, 16, 1), _convolution(16, 32, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), _convolution(channels, 32, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From (n, C, H, W) to (n, 256, H, W)."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


class ComponentCNN(nn.Module):
    """One of the two networks of the multi-dataset network (Radioengineering 2020, section 3.2.1).

    conv 32, CReLU, pool – conv 64, CReLU, pool – inception – conv 256, pool – conv 256 – conv 256,
    pool – fc 2048 – fc 2048 – fc L; the first kernel is 5×5, the others 3×3; 2×2 max pools; ReLU
    elsewhere. The text states the five convolutions, CReLU, the inception module after the second
    of them and the two layers of 2048; kernels, widths and pools stood in a figure that is lost and
    are ours. The embedding is the second 2048-d layer after ReLU and before dropout. The landmark
    head is one linear layer on the last pooled maps, whose answer is added to the mean shape.

    Parameters
    ----------
    labels, channels, size : int
        L, channels of the input, its side in pixels (at least 16; pools round down).
    keep : float
        Probability that a unit of the 2048-d layers is kept in training.
    shape : float (5, 2) or None
        Mean landmarks, in shares of the image's side; None: it locates none.
    """

    def __init__(
        self,
        labels: int,
        channels: int,
        size: int,
        keep: float = 0.65,
        shape: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            # Unlike ReLU, CReLU does not commute with pooling.
            CReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3, padding=1),
            CReLU(),
            nn.MaxPool2d(2),
            Inception(128),
            _convolution(256, 256, 3),
            nn.MaxPool2d(2),
            _convolution(256, 256, 3),
            _convolution(256, 256, 3),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        flat = 256 * (size // 16) ** 2
        self.first = nn.Linear(flat, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, labels)
        self.points = None if shape is None else nn.Linear(flat, _POINTS)
        self.register_buffer("shape", None if shape is None else torch.tensor(shape))
        self.dropout = nn.Dropout(1 - keep)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        for layer in (self.output, self.points):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.01)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size); ``other`` is the five points, (n, 5, 2), or None.

        Points are x, y in shares of the image's side.
        """
        maps = self.trunk(images)
        hidden = self.dropout(torch.relu(self.first(maps)))
        embedding = torch.relu(self.second(hidden))
        logits = self.output(self.dropout(embedding))
        found = None
        if self.points is not None:
            found = self.shape + self.points(maps).unflatten(1, (5, 2))
        return Output(embedding, logits, other=found)


class Component(nn.Module):
    """A component CNN and its class centres for each dataset.

    Two networks give one face two embeddings, and two datasets have their own classes: no centres
    are shared.

    Parameters
    ----------
    network : ComponentCNN
    alpha, moving
        Of `ClassCentres`.
    """

    def __init__(self, network: ComponentCNN, alpha: float = 0.5, moving: bool = True) -> None:
        super().__init__()
        self.network = network
        labels = network.output.out_features
        self.centres = nn.ModuleList(
            ClassCentres(labels, WIDTH, alpha=alpha, moving=moving) for _ in range(DATASETS)
        )

    def forward(self, packed: Tensor) -> Output:
        """From what `_landmarks.packed` gives; ``other`` as `ComponentCNN`."""
        out: Output = self.network(unpacked(packed).images)
        return out


class Lesson(nn.Module):
    """A component while it learns one dataset: the labels that this lacks are out of the question.

    Their logits would be pushed down by each of its faces else, though none of them says that the
    label is absent.

    Parameters
    ----------
    component : Component
        Trained in place.
    dataset : int
        Which of its centres.
    columns : sequence of int
        Labels that the dataset has.
    """

    def __init__(self, component: Component, dataset: int, columns: Sequence[int]) -> None:
        super().__init__()
        centres = component.centres[dataset]
        assert isinstance(centres, ClassCentres)
        self.network, self.centres = component.network, centres
        self.columns = sorted(columns)

    def forward(self, packed: Tensor) -> Output:
        """As `Component`, with `ABSENT` for the logits of the other labels.

        ``other`` (n, 21) is what the landmark head says, the landmarks and whether they are known;
        None without a head.
        """
        given = unpacked(packed)
        out: Output = self.network(given.images)
        logits = torch.full_like(out.logits, ABSENT)
        logits[:, self.columns] = out.logits[:, self.columns]
        if out.other is None:
            return Output(out.embedding, logits)
        told = [out.other.flatten(1), given.points.flatten(1), given.known[:, None]]
        return Output(out.embedding, logits, other=torch.cat([t.float() for t in told], dim=1))

    def terms(
        self,
        out: Output,
        batch: Batch,
        loss: str = "md",
        weight: float = 0.01,
        nearest: int = 3,
        landmark: float = 1.0,
    ) -> Terms:
        """L_softmax + λ L_MD + the landmarks' loss; in training, the centres move then.

        Eq. 10 and Algorithm 1 add up what the datasets lose; here each lesson has one of them.

        Parameters
        ----------
        loss : {"md", "center", "softmax"}
            Beside the softmax cross-entropy.
        weight, landmark : float
            λ, and the weight of the landmarks' loss.
        nearest : int
            P of `md_loss`.
        """
        classes = batch.distribution.argmax(dim=1)
        target = one_hot(classes, batch.labels.shape[1])
        parts = {"cross_entropy": multilabel_softmax(out.logits, target)}
        total = parts["cross_entropy"]
        if loss != "softmax":
            # Labels that the dataset lacks have no centre to be driven from.
            own = torch.tensor(self.columns, device=classes.device)
            centres, places = self.centres.centres[own], torch.searchsorted(own, classes)
            if loss == "md":
                parts["md"] = md_loss(out.embedding, centres, places, nearest)
            else:
                parts["center"] = center(out.embedding, centres, places)
            total = total + weight * parts[loss]
            if self.training:
                self.centres.update(out.embedding.detach(), classes)
        if out.other is not None:
            found, points, known = out.other.split([_POINTS, _POINTS, 1], dim=1)
            parts["landmarks"] = landmark_loss(
                found.unflatten(1, (5, 2)), points.unflatten(1, (5, 2)), known[:, 0] > 0
            )
            total = total + landmark * parts["landmarks"]
        return Terms(total, parts)


class Integrated(nn.Module):
    """The two components as one network: S_i = Σ_j λ_j C_{j,i} (Radioengineering 2020, 3.2.2).

    Parameters
    ----------
    components : sequence of Component
    common : sequence of int
        Columns of the labels that both datasets have.
    weights : sequence of float
        λ_j; they sum to 1.
    whole : int
        The component that decides alone on the other labels.
    located : sequence of float
        Weights of the components in the landmarks.
    """

    def __init__(
        self,
        components: Sequence[Component],
        common: Sequence[int],
        weights: Sequence[float],
        whole: int,
        located: Sequence[float],
    ) -> None:
        super().__init__()
        self.components = nn.ModuleList(components)
        self.common, self.whole = list(common), whole
        self.weights, self.located = list(weights), list(located)

    def forward(self, packed: Tensor) -> Output:
        """Embeddings side by side, (n, 2 · 2048); ``logits`` log S; ``parts`` those of the two.

        ``other`` is the weighted mean of the points, (n, 5, 2), or None.
        """
        outs: list[Output] = [component(packed) for component in self.components]
        logits = torch.stack([out.logits.float() for out in outs], dim=1)
        points = [out.other for out in outs if out.other is not None]
        return Output(
            torch.cat([out.embedding for out in outs], dim=1),
            integrated(logits, self.common, self.weights, self.whole),
            logits,
            sum(w * p for w, p in zip(self.located, points, strict=True)) if points else None,
        )


def integrated(
    logits: Tensor, common: Sequence[int], weights: Sequence[float], whole: int
) -> Tensor:
    """log S, S_i = Σ_j λ_j C_{j,i}, with the labels that only one dataset has kept out of the sum.

    C_j is the softmax of component j. Over the labels that both datasets have it is summed; the
    others have what component ``whole`` gives them, and what it leaves for the common labels is
    shared out among these by S. Where all labels are common that is the paper's sum.

    Parameters
    ----------
    logits : float (n, M, L)
    common : sequence of int
    weights : sequence of float
        λ, summing to 1.
    whole : int

    Returns
    -------
    float (n, L)
        Whose exponentials sum to 1.
    """
    columns = list(common)
    weighted = logits.new_tensor(list(weights)).log()
    shared = logits[:, :, columns].log_softmax(dim=2)
    total = (shared + weighted[:, None]).logsumexp(dim=1)
    alone = logits[:, whole].log_softmax(dim=1)
    found = alone.clone()
    found[:, columns] = alone[:, columns].logsumexp(dim=1, keepdim=True) + total
    return found


def binary_accuracy(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(TP_i + TN_i)/N of each class i (Radioengineering 2020, Eq. 11), float64 (L,).

    True negatives count as right, so that a class that is never found has the share of all others:
    it is no accuracy of a classification, and stands in no table beside one.

    Parameters
    ----------
    truth, found : bool (n, L)
    """
    return np.asarray((truth == found).mean(axis=0))


def _convolution(channels: int, width: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU(inplace=True)
    )
