"""The narrow ResNet-18 of TFE-JL without identity: its baseline on FER+."""

from __future__ import annotations

from bench.methods._tfe import QUICK, ResNetTFE, paper_recipe


class ResNet18TFE(ResNetTFE):
    """M. Li et al., "Facial expression recognition with identity and emotion joint learning", IEEE
    TAFFC, manuscript of 2017: the emotion branch alone (Table 4).

    Eight basic blocks of 16, 16, 32 and 64 maps on grey faces of 48×48 pixels, no max pooling, a
    64-d pooled layer (`_tfe.SmallResNet`); softmax cross-entropy; per-pixel mean and standard
    deviation of the training part; SGD with momentum 0.9 from a rate of 0.1, batch 128, 200 epochs,
    the smaller last batch left out; faces mirrored, turned and shifted.

    Label: the largest softmax; on multi-label data (``target=argmax``) those that reach the
    threshold.

    Deviations, all where the paper is silent: the rate falls to a tenth every 70 epochs, weight
    decay is 1e-4, faces are turned by up to 10° and shifted by up to a tenth of their side. Budget
    ``quick`` (ours): 32×32 pixels, 600 iterations in batches of 64, one cycle of the rate.
    """

    name = "resnet18-tfe"
    layers = "resnet18"
    recipes = {"paper": paper_recipe(0.1), "quick": QUICK}
    seconds_per_1000 = {"smoke": 3.0, "quick": 8.0, "paper": 1_700.0}
