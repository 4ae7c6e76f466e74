"""Binary relevance: one model per label, whatever scikit-learn classifier it is."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from bench.api import Classifier, param
from bench.learn.bases import OverBase, Problem, fit_base


class BinaryRelevance(OverBase, Classifier):
    """M. Boutell, J. Luo, X. Shen and C. Brown, Learning multi-label scene classification, Pattern
    Recognition 37 (2004) 1757–1771: each label is learned alone, as present or absent.

    The base is a name, a scikit-learn classifier, or the path of one, which is then made with its
    default parameters: ``br[base=sklearn.linear_model.LogisticRegression]``. Score and label are
    the base's own: its probability of "present" or, where it gives none, its decision value or, as
    a last resort, its decision as 0 or 1; the label is what it predicts. The named bases say
    present from probability 1/2.

    Deviation: a label that all training rows have, or none, needs no scikit-learn classifier (most
    refuse it): it scores 1 or 0, +1 or −1 among decision values, everywhere.
    """

    name = "br"
    by_name_only = True
    by_path = True
    base: object = param(
        "c45",
        help="c45 (as J48) | cart (entropy tree) | nn (1 neighbour) | 5nn (Weka's IBk -K 5 -I)"
        " | sklearn.MODULE.CLASS; in Python also a scikit-learn classifier",
    )
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def fit(self, X: np.ndarray, Y: np.ndarray, sample_weight: ArrayLike | None = None) -> Self:
        """Learn one model per label; ``X`` float (n, d), ``Y`` bool (n, L).

        Raises
        ------
        BenchError
            Where X, Y or the weights have a wrong shape or values, or where the base takes no
            ``sample_weight`` float (n,).
        """
        X, Y, weights = self._checked(X, Y, sample_weight)
        problems = [Problem(y.astype(np.int64), 2, favoured=1) for y in Y.T]
        rng = np.random.default_rng(0)
        self.models_ = fit_base(self._resolved(), X, problems, rng, weights)
        return self

    def scores_are_probabilities(self) -> bool:
        """Where the base gives probabilities, as the named ones do."""
        base = self._resolved()
        return isinstance(base, str) or hasattr(base, "predict_proba")

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores float (n, L), and labels bool (n, L), as the base gives them."""
        X = self._scaled(X)
        scores, decisions = zip(*self.models_.scored(X), strict=True)
        return np.stack(scores, axis=1), np.stack(decisions, axis=1) == 1
