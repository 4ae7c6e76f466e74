"""VGG-19, trained from scratch on faces: a comparison of LBAN-IL's paper."""

from __future__ import annotations

from bench.methods._lban import PAPER, ComparedNetwork, FeatureHead
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from bench.api import FaceSet, InputError
from bench.nn.output import Output
from bench.nn.recipe import Adam, OneCycle, Recipe

_SMALLEST = 32  # pixels
_POOLED = 2  # side in pixels of what is left of 80×80 after five poolings

# Of ours, for a laptop; five poolings leave nothing of fewer than 32 pixels.
QUICK = Recipe(
    Adam(3e-4),
    batch=32,
    iterations=600,
    schedule=OneCycle(),
    size=32,
    crop_from=36,
    flip=True,
)


class VGG19Layers(nn.Module):
    """Configuration E's convolutions with batch normalisation, fc 128 – fc L.

    Parameters
    ----------
    labels, channels : int
        L, and channels of the input.
    dropout : float
        Before both fully connected layers.
    """

    def __init__(self, labels: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.layers = make_layers(cfgs["E"], batch_norm=True)
        if channels != 3:
            self.layers[0] = nn.Conv2d(channels, 64, 3, padding=1)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        # To 2×2 whatever the input's size, so that 40×40 pixels take no fewer weights than 80×80.
        self.pool = nn.AdaptiveAvgPool2d(_POOLED)
        self.head = FeatureHead(_POOLED**2 * 512, labels, dropout)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, H, W) of at least 32×32 pixels."""
        out: Output = self.head(self.pool(self.layers(images)).flatten(1))
        return out


class VGG19(ComparedNetwork):
    """K. Simonyan and A. Zisserman, ICLR 2015, configuration E, as LBAN-IL's paper compares it
    (Neurocomputing 2021, Table 2): with the softmax alone (``loss=softmax``) or the islets loss.

    Crops, schedule, ten-crop test and losses are those of ``lban-il``, since the paper adopts the
    same augmentation in all experiments; the embedding is the 128-d layer.

    Labels: the largest softmax; with ``target=argmax`` on multi-label data softmax >= the threshold
    with the best micro-F1 on the validation part.

    Deviations: none from the paper, which gives 20.3 million weights and no more. They leave room
    for fc 128 on 2×2×512 and not for the original's two layers of 4096. Ours: batch normalisation
    after each convolution (11,008 weights), without which nineteen layers hardly train from random
    weights at a rate of .001. Budget ``quick`` (ours): 32×32 pixels
    cut from 36×36, mirrored, 600 batches of 32, Adam with one cycle of the rate up to 3e-4, L_I in
    the last quarter alone, the centre crop in tests.
    """

    name = "vgg19"
    recipes = {"paper": PAPER, "quick": QUICK}
    seconds_per_1000 = {"smoke": 25.0, "quick": 40.0, "paper": 45_000.0}

    def network(self, labels: int, channels: int) -> nn.Module:
        """Sixteen convolutions, the 128-d feature, the output."""
        return VGG19Layers(labels, channels, self.dropout)

    def check(self, train: FaceSet) -> None:
        """Raise `InputError` also where five poolings leave nothing."""
        super().check(train)
        if self.recipe.size < _SMALLEST:
            raise InputError(
                f"vgg19[size={self.recipe.size}]: five poolings leave nothing of it; take "
                f"{_SMALLEST} or more"
            )
