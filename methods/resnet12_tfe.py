"""The narrow ResNet-12 of TFE-JL without identity: its baseline on CK+."""

from __future__ import annotations

from bench.methods._tfe import QUICK, ResNetTFE, paper_recipe


class ResNet12TFE(ResNetTFE):
    """M. Li et al., "Facial expression recognition with identity and emotion joint learning", IEEE
    TAFFC, manuscript of 2017: the emotion branch for small datasets, alone (Table 2).

    Five basic blocks where ``resnet18-tfe`` has eight, and a rate of 0.16 where that has 0.1; all
    else is as there, the deviations too. The paper augments FER+ and does not mention augmentation
    for CK+: here faces of every dataset are augmented (``rotation=0,shift=0`` leaves the mirrors).

    Label: the largest softmax; on multi-label data (``target=argmax``) those that reach the
    threshold.
    """

    name = "resnet12-tfe"
    layers = "resnet12"
    recipes = {"paper": paper_recipe(0.16), "quick": QUICK}
    seconds_per_1000 = {"smoke": 2.0, "quick": 4.0, "paper": 700.0}
