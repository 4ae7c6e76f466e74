"""baseDCNN: a plain deep network of six convolutions, RAF-ML's baseline."""

from __future__ import annotations

from bench.methods._dcnn import DCNNNetwork


class BaseDCNN(DCNNNetwork):
    """S. Li and W. Deng, IJCV 127 (2019) 884–906, section 5 and Table 2 (`_dcnn.DCNN`).

    Multi-label softmax cross-entropy (Eq. 1) on the label distribution; grey images of 100×100
    pixels divided by 255, crops of 90×90, random in training and central otherwise; SGD with
    momentum 0.9, batch 64, rate 0.01, divided by 10 after 5,000 and 18,000 of 20,000 iterations;
    the embedding is 2000-d.

    Labels: softmax >= the threshold with the best micro-F1 on the validation part; the paper reads
    label sets only through classifiers.

    Deviations: the test crop, the place of dropout (on the 2000-d layer) and the decay of biases
    are open in the paper and ours. It stops at 20,000 iterations; with ``--selection valid`` the
    best epoch up to there is used. Budget ``quick`` (ours): 44×44 pixels cut from 48×48, mirrored,
    16 epochs with one cycle of the rate.
    """

    name = "base-dcnn"
