"""Calibrated label ranking: every two labels compared, and each label with a virtual one."""

from __future__ import annotations

from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from bench.api import Classifier, param
from bench.learn.bases import OverBase, Problem, fit_base


class CLR(OverBase, Classifier):
    """J. Fürnkranz, E. Hüllermeier, E. Loza Mencía and K. Brinker, Multilabel classification via
    calibrated label ranking, Machine Learning 73 (2008) 133–153.

    For every two labels i < j a binary model learns, from the rows with exactly one of them, which
    one it is; for every label another learns from all rows whether it is there, that is, whether it
    beats the virtual label 0 (binary relevance). The L (L + 1) / 2 models vote: v_l are the votes
    for label l, 0 to L, and v_0 those for the virtual label. The score is v_l / L, and a label is
    present where v_l >= v_0, MULAN's rule; the paper's "ranked above the virtual label" leaves
    equality open, and ``equality=negative`` takes v_l > v_0. A model whose two classes are equally
    probable votes for i, or for the label, as in MULAN.

    Deviation: a pair of labels that no training row tells apart has no model and gives no vote
    (MULAN loses the pairs after it). With one label this is binary relevance.
    """

    name = "clr"
    seconds_per_1000 = 20.0
    threshold = "row"  # the votes for the virtual label
    base: object = param(
        "c45",
        help="c45 (as J48) | cart (entropy tree) | nn (1 neighbour) | 5nn (Weka's IBk -K 5 -I)"
        "; in Python also a scikit-learn classifier",
    )
    equality: str = param(
        "positive",
        choices=("positive", "negative"),
        help="a label with as many votes as the virtual one",
    )
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def fit(self, X: np.ndarray, Y: np.ndarray, sample_weight: ArrayLike | None = None) -> Self:
        """Learn all models; ``X`` float (n, d), ``Y`` bool (n, L).

        Sets ``pairs_``, the pairs of labels that have a model.

        Raises
        ------
        BenchError
            Where X, Y or the weights have a wrong shape or values, or where the base takes no
            ``sample_weight`` float (n,).
        """
        X, Y, weights = self._checked(X, Y, sample_weight)
        labels = Y.T.astype(np.int64)
        problems = [Problem(y, 2, favoured=1) for y in labels]
        self.pairs_ = []
        for i, j in combinations(range(len(labels)), 2):
            rows = np.flatnonzero(labels[i] != labels[j])
            if len(rows):
                self.pairs_.append((i, j))
                problems.append(Problem(labels[i], 2, rows, favoured=1))  # 1: it is i
        self.n_labels_ = len(labels)
        rng = np.random.default_rng(0)
        self.models_ = fit_base(self._resolved(), X, problems, rng, weights)
        return self

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the votes v_l / L float (n, L) in [0, 1], and labels bool (n, L)."""
        X = self._scaled(X)
        decisions = self.models_.decisions(X)
        votes = np.stack([next(decisions) for _ in range(self.n_labels_)], axis=1).astype(np.int64)
        virtual = self.n_labels_ - votes.sum(axis=1, keepdims=True)
        for (i, j), decision in zip(self.pairs_, decisions, strict=True):
            votes[:, i] += decision
            votes[:, j] += 1 - decision
        present = votes >= virtual if self.equality == "positive" else votes > virtual
        return votes / self.n_labels_, present
