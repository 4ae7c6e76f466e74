"""LBAN-IL: local binary attention network, trained with the islets loss."""

from __future__ import annotations

import torch
from bench.methods._lban import PAPER, ComparedNetwork, FeatureHead
from torch import Tensor, nn

from bench.api import FaceSet, InputError, param
from bench.nn.output import Output
from bench.nn.recipe import Adam, OneCycle, Recipe
from bench.nn.train import TrainingSummary

BLOCKS = ("lbc+std+skip", "lbc+skip", "lbc", "sc+std", "sc+std+skip", "conv")
_WIDTHS = (64, 128, 256, 512)  # channels of the first convolution and of the three blocks
_SAMPLINGS = (2, 1, 0)  # of the three attention blocks
_POOLED = 5  # side in pixels of what the fully connected layers see

# Ours, for a laptop: the network costs much, and takes smaller images as it is.
QUICK = Recipe(
    Adam(3e-4),
    batch=32,
    iterations=500,
    schedule=OneCycle(),
    size=24,
    crop_from=28,
    flip=True,
)


class BinaryConv(nn.Module):
    """A 3×3 convolution whose filters are drawn once and never learned.

    LBAN-IL, Neurocomputing 2021, section 2.1: each weight is 0 with probability ``sparsity``, else
    1 or −1, drawn from torch's generator. (F. Juefei-Xu et al., CVPR 2017, draw the places that are
    not 0 with replacement, so that at a sparsity of ½ only 39 % of all places are not 0.)

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
    convolution, to which the input is added through a 1×1 convolution. The paper's parameter counts
    want that projection in every layer, also where channels stay. Both summands are
    batch-normalised, starting at a deviation of ½: the paper names no normalisation, but without
    one sums over ±1 grow thirtyfold a layer, and fc 128 with its 12,800 inputs makes training
    diverge at the paper's rate.

    Parameters
    ----------
    inputs, outputs : int
        Channels; the fixed filters are as many as the outputs.
    stride : int
    block : str
        One of `BLOCKS`, pieces joined by ``+``. ``lbc`` or ``sc``: fixed filters, or learned ones
        in their place; ``std``: the standard convolution; ``skip``: the input is added. ``conv``
        has none of these pieces: it is a plain 3×3 convolution with batch normalisation and ReLU.
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
            layers.append(_half_norm(outputs))
        self.layers = nn.Sequential(*layers)
        self.skip: nn.Sequential | None = None
        if "skip" in pieces:
            self.skip = nn.Sequential(_conv(inputs, outputs, 1, stride), _half_norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """From float (n, inputs, H, W); a stride of 2 halves the sides."""
        y: Tensor = self.layers(x)
        return y if self.skip is None else y + self.skip(x)


class LBAB(nn.Module):
    """A local binary attention block (LBAN-IL, section 2.2): (1 + A) · G.

    G is an `LBSL` of the input. A in (0, 1) comes from an encoder and a decoder: the encoder is
    ``samplings`` times max pooling and an `LBSL`; the decoder is as many times deconvolution (4×4,
    stride 2) and an `LBSL`, before which the encoder's maps of the same resolution are added.
    Without sampling both have one `LBSL` each. A = sigmoid(1×1(ReLU(1×1(·)))): the text names one
    ReLU and one 1×1 convolution, and its parameter counts want two of the latter.

    Parameters
    ----------
    channels, samplings : int
        H and W must be multiples of 2 to the number of samplings.
    block : str
        As in `LBSL`.
    attention : bool
        False: the block is G without A.
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
        maps_before = []  # of each pooling
        for layer in self.encoder:
            maps_before.append(x)
            x = layer(self.down(x))
        for up, layer, maps in zip(self.up, self.decoder, reversed(maps_before), strict=True):
            x = layer(up(x) + maps)
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
        widths = zip(_WIDTHS[:-1], _WIDTHS[1:], _SAMPLINGS, strict=True)
        for inputs, outputs, samplings in widths:
            layers.append(LBSL(inputs, outputs, 2, block))
            layers.append(LBAB(outputs, samplings, block, attention))
        # To 5×5 whatever the input's size, so that 40×40 pixels take no fewer weights than 80×80.
        layers += [nn.ReLU(), nn.AdaptiveAvgPool2d(_POOLED), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.head = FeatureHead(_POOLED**2 * _WIDTHS[-1], labels, dropout)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size), size a multiple of 8."""
        out: Output = self.head(self.layers(images))
        return out


class LBANIL(ComparedNetwork):
    """H. Li et al., Neurocomputing 2021, Eq. 5: L = L_softmax + λ L_I.

    The local binary attention network (`LBAN`) with the islets loss L_I (`bench.nn.centred`) on its
    128-d feature, which is the embedding; λ = .6, λ_1 = .2, λ_2 = .9.
    SGD with momentum .9, weight decay .05, rate .001, times .9 every 5 epochs from epoch 20, batch
    64; crops of 80×80 from 100×100 pixels (40×40 from 48×48 where the dataset's faces have at most
    64), mirrored; the mean softmax of ten crops in tests.

    Labels: the largest softmax; with ``target=argmax`` on multi-label data softmax >= the threshold
    with the best micro-F1 on the validation part.

    Table 1: ``attention`` is the encoder-decoder, and ``block=conv`` has no LBSL. The paper does
    not describe its basic structure: here it is ``attention=false,block=conv``, each layer a 3×3
    convolution with batch normalisation and ReLU, each attention block one such layer. Table 2:
    ``block=lbc`` (LBC), ``lbc+skip`` (LBCNN), ``sc+std`` (LBAN‡, printed with one dagger),
    ``sc+std+skip`` (LBAN†). Its parameter counts include the fixed weights in the two LBC rows and
    leave them out of LBAN's. Table 4: ``loss``. Placebos: ``lam2=0``, ``centres=fixed``.

    Where λ_2 acts: L_p is exp(−½ of all distances), so that it moves centres only while they lie
    near each other. From our start (`ClassCentres`: normal noise of .01) the first step moves a
    centre of seven by .005 for λ_2 and by .37 for λ_1, and L_p falls from .036 to .0003 by it. That
    λ_2 changes nothing is thus partly a matter of our start and α, which the paper leaves open.

    Deviations: the center loss is a mean over the batch, as the softmax is (with the paper's sum λ
    would be 64 times as large). Not in the paper and ours: 100 epochs, α = .5, the place and the
    start of batch normalisation, the second 1×1 convolution of the attention, no sampling but one
    layer each in the third block's encoder and decoder, faces in RGB less .5 over .25. Budget
    ``quick`` (ours): 24×24 pixels cut from 28×28, mirrored, 500 batches of 32, Adam with one cycle
    of the rate up to 3e-4, L_I in the last quarter alone, the centre crop in tests.
    """

    name = "lban-il"
    recipes = {"paper": PAPER, "quick": QUICK}
    seconds_per_1000 = {"smoke": 35.0, "quick": 15.0, "paper": 100_000.0}

    block: str = param(BLOCKS[0], choices=BLOCKS, help="what a layer is made of")
    attention: bool = param(True, help="encoder and decoder in the three blocks")

    def network(self, labels: int, channels: int) -> nn.Module:
        """The paper's network."""
        return LBAN(labels, channels, self.block, self.attention, self.dropout)

    def check(self, train: FaceSet) -> None:
        """Raise `InputError` also where maps cannot be halved and doubled again."""
        super().check(train)
        if self.recipe.size % 8:
            raise InputError(
                f"lban-il[size={self.recipe.size}]: its blocks halve and double maps; take a "
                "multiple of 8"
            )

    def fitted(self, summary: TrainingSummary, valid: FaceSet | None) -> list[str]:
        """How many weights were drawn and never learned."""
        fixed = sum(m.weight.numel() for m in self.model_.modules() if isinstance(m, BinaryConv))
        return [f"{self.name}: {fixed:,} fixed weights besides"] if fixed else []


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, since batch normalisation follows."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return convolution


def _half_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation that starts at a deviation of ½."""
    norm = nn.BatchNorm2d(channels)
    nn.init.constant_(norm.weight, 0.5)
    return norm
