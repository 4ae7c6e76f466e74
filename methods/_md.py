"""The layers of the multi-dataset network: its component CNN, and the integration of two of them.

They serve ``md-cnn`` alone and would make its file too long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from bench.methods._md_landmarks import unpack_landmarks
from torch import Tensor, nn

from bench.nn.losses.centres import ClassCentres
from bench.nn.output import Output

WIDTH = 2048  # units of each of the two fully connected layers
DATASETS = 2
ABSENT = -1e4  # the logit of a label that is out of the question: finite, with a softmax of 0
POINTS = 10  # coordinates of five landmarks


class CReLU(nn.Module):
    """[ReLU(x), ReLU(−x)], twice as many channels as x (W. Shang et al., ICML 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        """From (n, C, H, W) to (n, 2C, H, W)."""
        return torch.relu(torch.cat([x, -x], dim=1))


class Inception(nn.Module):
    """Four branches side by side (C. Szegedy et al., CVPR 2015, Figure 2b), 256 channels in all.

    1×1 (64) | 1×1 (96) – 3×3 (128) | 1×1 (16) – 5×5 (32) | 3×3 max pool – 1×1 (32); a ReLU after
    every convolution. The widths are those of GoogLeNet's first module, since those of the paper
    are lost.
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
    of them and the two layers of 2048. Kernels, widths and pools stood in a figure that is lost;
    these are ours. The embedding is the second 2048-d layer after ReLU and before dropout. The
    landmark head is one linear layer on the last pooled maps; its output is added to the mean
    shape.

    Parameters
    ----------
    labels, channels, size : int
        L, channels of the input, its side in pixels (at least 16; pools round down).
    keep : float
        Probability that a unit of the 2048-d layers is kept in training.
    shape : float (5, 2) or None
        Mean landmarks, in shares of the image's side; None: there is no landmark head.
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
            # Before the pool: unlike ReLU, CReLU does not commute with pooling.
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
        self.points = None if shape is None else nn.Linear(flat, POINTS)
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
        if self.points is None:
            return Output(embedding, logits)
        points = self.shape + self.points(maps).unflatten(1, (5, 2))
        return Output(embedding, logits, other=points)


class Component(nn.Module):
    """A component CNN and its class centres for each dataset.

    No centres are shared, since the two networks embed a face differently, and each dataset has
    classes of its own.

    Parameters
    ----------
    network : ComponentCNN
    alpha, moving
        As in `ClassCentres`.
    """

    def __init__(self, network: ComponentCNN, alpha: float = 0.5, moving: bool = True) -> None:
        super().__init__()
        self.network = network
        labels = network.output.out_features
        self.centres = nn.ModuleList(
            ClassCentres(labels, WIDTH, alpha=alpha, moving=moving) for _ in range(DATASETS)
        )

    def forward(self, packed: Tensor) -> Output:
        """From images with packed landmarks (`pack_landmarks`); ``other`` as in `ComponentCNN`."""
        out: Output = self.network(unpack_landmarks(packed).images)
        return out


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
        The component that decides alone on labels that only one dataset has.
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
        """From images with packed landmarks (`pack_landmarks`).

        The embedding is that of both components side by side, (n, 2 · 2048); ``logits`` are log S;
        ``parts`` are the logits of each component; ``other`` is the weighted mean of their points,
        (n, 5, 2), or None.
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
    """log S, S_i = Σ_j λ_j C_{j,i} over the labels that both datasets have.

    C_j is the softmax of component j over these labels. A label that only one dataset has gets its
    probability from component ``whole`` alone; the rest of that component's probability is shared
    out among the common labels by S. Where all labels are common that is the paper's sum.

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
        Logarithms, whose exponentials sum to 1 in each row.
    """
    columns = list(common)
    log_weights = logits.new_tensor(list(weights)).log()
    shared = logits[:, :, columns].log_softmax(dim=2)
    log_sum = (shared + log_weights[:, None]).logsumexp(dim=1)
    alone = logits[:, whole].log_softmax(dim=1)
    log_s = alone.clone()
    log_s[:, columns] = alone[:, columns].logsumexp(dim=1, keepdim=True) + log_sum
    return log_s


def _convolution(channels: int, width: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU(inplace=True)
    )
