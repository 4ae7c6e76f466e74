"""LBAN: local binary convolutions with fixed filters, and blocks that attend to parts of a face."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.centred import FeatureHead
from bench.nn.output import Output

BLOCKS = ("lbc+std+skip", "lbc+skip", "lbc", "sc+std", "sc+std+skip", "conv")
_WIDTHS = (64, 128, 256, 512)
_SAMPLINGS = (2, 1, 0)  # of the three attention blocks
_POOLED = 5  # side in pixels of what the fully connected layers see


class BinaryConv(nn.Module):
    """A 3×3 convolution whose filters are drawn once and never learned.

    LBAN-IL, Neurocomputing 2021, section 2.1: each weight is 0 with probability ``sparsity``, else
    1 or −1, drawn from torch's generator. (F. Juefei-Xu et al., CVPR 2017, draw the places that are
    not 0 with replacement, which leaves 39 % of them at ½.)

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
    sparsity : float
        In [0, 1].

    Attributes
    ----------
    weight : float (outputs, inputs, 3, 3)
        A buffer: no optimiser moves it, and checkpoints hold it.
    """

    weight: Tensor

    def __init__(self, inputs: int, outputs: int, stride: int = 1, sparsity: float = 0.5) -> None:
        super().__init__()
        self.stride = stride
        draws = torch.rand(outputs, inputs, 3, 3)
        sign = torch.where(torch.rand(outputs, inputs, 3, 3) < 0.5, -1.0, 1.0)
        self.register_buffer("weight", torch.where(draws < sparsity, 0.0, sign))

    def forward(self, x: Tensor) -> Tensor:
        """From float (n, inputs, H, W)."""
        return nn.functional.conv2d(x, self.weight, stride=self.stride, padding=1)


class LBSL(nn.Module):
    """A local binary standard layer and its ablations (LBAN-IL, section 2.1 and Table 2).

    The local binary convolution (LBC: fixed 3×3 filters – ReLU – 1×1), ReLU and a standard 3×3
    convolution, and the input added to it through a 1×1 convolution. The paper's parameter counts
    want that projection in every layer, also where channels stay. Both sides are batch-normalised
    before they are added, starting at a deviation of ½: the paper names no normalisation, without
    which sums over ±1 grow thirtyfold a layer, and what piles up in the 12,800 inputs of fc 128
    makes it diverge at the paper's rate.

    Parameters
    ----------
    inputs, outputs : int
        Channels; the fixed filters are as many as the outputs.
    stride : int
    block : str
        Of `BLOCKS`. ``lbc`` or ``sc``: fixed filters, or learned ones in their place; ``std``: the
        standard convolution; ``skip``: the input is added. ``conv`` is none of it, a plain 3×3
        convolution with batch normalisation and ReLU.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, block: str) -> None:
        super().__init__()
        pieces = block.split("+")
        layers: list[nn.Module]
        if block == "conv":
            layers = [_conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU()]
        else:
            fixed = "lbc" in pieces
            first: nn.Module = (
                BinaryConv(inputs, outputs, stride) if fixed else _conv(inputs, outputs, 3, stride)
            )
            layers = [first, nn.ReLU(), _conv(outputs, outputs, 1)]
            if "std" in pieces:
                layers += [nn.ReLU(), _conv(outputs, outputs, 3)]
            layers.append(_norm(outputs))
        self.layers = nn.Sequential(*layers)
        self.skip: nn.Sequential | None = None
        if "skip" in pieces:
            self.skip = nn.Sequential(_conv(inputs, outputs, 1, stride), _norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """From float (n, inputs, H, W); a stride of 2 halves the sides."""
        y: Tensor = self.layers(x)
        return y if self.skip is None else y + self.skip(x)


class LBAB(nn.Module):
    """A local binary attention block (LBAN-IL, section 2.2): (1 + A) · G.

    G is a layer of the input; A in (0, 1) comes from an encoder of ``samplings`` times max pooling
    and a layer, and a decoder of as many times deconvolution (4×4, stride 2) and a layer, what the
    encoder had at the same resolution being added before the layer. Without sampling there is one
    layer each. A = sigmoid(1×1(ReLU(1×1(·)))): the text names one ReLU and one 1×1 convolution, and
    its parameter counts want two.

    Parameters
    ----------
    channels, samplings : int
        H and W must be multiples of 2 to the number of samplings.
    block : str
        As in `LBSL`.
    attention : bool
        False leaves G alone.
    """

    def __init__(self, channels: int, samplings: int, block: str, attention: bool = True) -> None:
        super().__init__()
        self.trunk = LBSL(channels, channels, 1, block)
        self.attention = attention
        if not attention:
            return
        levels = range(max(samplings, 1))
        sampled = samplings > 0
        self.encoder = nn.ModuleList(LBSL(channels, channels, 1, block) for _ in levels)
        self.decoder = nn.ModuleList(LBSL(channels, channels, 1, block) for _ in levels)
        self.down = nn.MaxPool2d(2) if sampled else nn.Identity()
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(channels, channels, 4, 2, 1) if sampled else nn.Identity()
            for _ in levels
        )
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """From float (n, channels, H, W) to the same shape."""
        features: Tensor = self.trunk(x)
        return features + self.attend(x) * features if self.attention else features

    def attend(self, x: Tensor) -> Tensor:
        """A in (0, 1), of the shape of x."""
        passed = []
        for layer in self.encoder:
            passed.append(x)
            x = layer(self.down(x))
        for up, layer, before in zip(self.up, self.decoder, reversed(passed), strict=True):
            x = layer(up(x) + before)
        return torch.sigmoid(self.gate(x))


class LBAN(nn.Module):
    """The local binary attention network (LBAN-IL, Fig. 2 and section 2).

    A 3×3 convolution of 64 channels, then three times a layer of stride 2 and an attention block,
    with 128, 256 and 512 channels and 2, 1 and 0 samplings; ReLU, average pooling to 5×5, fc 128 –
    fc L with dropout before both. The embedding is the 128-d layer, which no ReLU follows.

    Parameters
    ----------
    labels, channels : int
        L, and channels of the input.
    block : str
        As in `LBSL`.
    attention : bool
        Whether blocks have their encoder and decoder.
    dropout : float
    """

    def __init__(
        self,
        labels: int,
        channels: int,
        block: str = BLOCKS[0],
        attention: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, _WIDTHS[0], 3), nn.BatchNorm2d(_WIDTHS[0])]
        layers.append(nn.ReLU())
        for number, samplings in enumerate(_SAMPLINGS):
            before, width = _WIDTHS[number : number + 2]
            layers.append(LBSL(before, width, 2, block))
            layers.append(LBAB(width, samplings, block, attention))
        # To 5×5 whatever the input's size, so that 40×40 pixels take no fewer weights than 80×80.
        layers += [nn.ReLU(), nn.AdaptiveAvgPool2d(_POOLED), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.head = FeatureHead(_POOLED**2 * _WIDTHS[-1], labels, dropout)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size), size a multiple of 8."""
        head: Output = self.head(self.layers(images))
        return head


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Without bias: batch normalisation follows."""
    made = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    return made


def _norm(channels: int) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(channels)
    nn.init.constant_(made.weight, 0.5)
    return made
