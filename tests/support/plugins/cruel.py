"""A classifier that hangs, dies, fails, or asks to be spared, each in another check."""

from __future__ import annotations

import os
import time
from typing import Self

import numpy as np

from bench.api import Classifier


class Cruel(Classifier):
    """Reference: none."""

    name = "cruel"

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        if Y.shape[1] == 1:
            time.sleep(600)
        if len(X) == 1:
            os._exit(7)
        raise KeyError("no luck")

    def exempt(self) -> dict[str, str]:
        return {"duplicate rows": "they are all the same to it"}
