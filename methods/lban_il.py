"""LBAN-IL: local binary attention network, trained with the islets loss."""

from __future__ import annotations

from bench.methods._lban import BLOCKS, LBAN, BinaryConv
from torch import nn

from bench.api import FaceSet, InputError, param
from bench.nn.centred import PAPER, ComparedNetwork
from bench.nn.recipe import Adam, OneCycle, Recipe
from bench.nn.train import Trained

# Of ours, for a laptop: the network is dear, and pixels can be saved on without another one.
QUICK = Recipe(
    Adam(3e-4),
    batch=32,
    iterations=500,
    schedule=OneCycle(),
    size=24,
    crop_from=28,
    flip=True,
)


class LBANIL(ComparedNetwork):
    """H. Li et al., Neurocomputing 2021, Eq. 5: L = L_softmax + λ L_I.

    The local binary attention network (`_lban`) with the islets loss L_I
    (`bench.nn.centred`) on its 128-d feature, which is the embedding; λ = .6, λ_1 = .2, λ_2 = .9.
    SGD with momentum .9, weight decay .05, rate .001, times .9 every 5 epochs from epoch 20, batch
    64; crops of 80×80 from 100×100 pixels (40×40 from 48×48 where the dataset's faces have at most
    64), mirrored; the mean softmax of ten crops in tests.

    Labels: the largest softmax; with ``target=argmax`` on multi-label data softmax >= the threshold
    with the best micro-F1 on the validation part.

    Table 1: ``attention`` is the encoder-decoder, and ``block=conv`` has no LBSL. What the paper
    calls its basic structure it does not say: here both, each layer a 3×3 convolution with batch
    normalisation and ReLU, each block one such layer. Table 2: ``block=lbc`` (LBC), ``lbc+skip``
    (LBCNN), ``sc+std`` (LBAN‡, printed with one dagger), ``sc+std+skip`` (LBAN†). Its parameter
    counts include the fixed weights in the two LBC rows and leave them out of LBAN's. Table 4:
    ``loss``. Placebos: ``lam2=0``, ``centres=fixed``.

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

    def fitted(self, trained: Trained, valid: FaceSet | None) -> list[str]:
        """How many weights were never learned."""
        fixed = sum(m.weight.numel() for m in self.model_.modules() if isinstance(m, BinaryConv))
        return [f"{self.name}: {fixed:,} fixed weights besides"] if fixed else []
