"""RAkEL: random small label sets, each learned as one many-class problem; they vote."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import comb
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from bench.api import BenchError, Classifier, InputError, param
from bench.learn.bases import OverBase, Problem, fit_base


class RAkEL(OverBase, Classifier):
    """G. Tsoumakas, I. Katakis and I. Vlahavas, Random k-Labelsets for Multilabel Classification,
    IEEE TKDE 23 (2011) 1079–1089; the overlapping variant, RAkELo.

    ``models`` distinct sets of ``k`` labels are drawn at random. Each becomes a single-label
    problem, whose classes are the combinations of its labels that occur in training (label
    powerset). A model votes 0 or 1 for each of its k labels; the score of a label is the mean of
    its votes, and it is present from 1/2, as in MULAN. A label in no set scores 0 and is absent.

    Deviations: where classes are equally probable the first one wins, in the order of their labels
    read as bits, absent first (MULAN draws one anew at each prediction). ``equality=negative``
    takes > 1/2 for >= 1/2, as scikit-multilearn does. The defaults are those of S. Li and W. Deng,
    IJCV 127 (2019) 884–906; MULAN's number of models is 2 L.
    """

    name = "rakel"
    seconds_per_1000 = 45.0
    small = {"models": 4}
    stochastic = True
    random_state: int
    k: int = param(3, ge=1, help="labels per set, below the number of labels")
    models: int = param(12, ge=1, help="label sets, of the k-label sets that exist")
    base: object = param(
        "c45",
        help="c45 (as J48) | cart (entropy tree) | nn (1 neighbour) | 5nn (Weka's IBk -K 5 -I)"
        "; in Python also a scikit-learn classifier",
    )
    labelsets: str | tuple[tuple[int, ...], ...] | None = param(
        None, help="0-1-2/1-3-4, counted from 0, instead of k and models; None: drawn"
    )
    equality: str = param(
        "positive", choices=("positive", "negative"), help="a label with half of its votes"
    )
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def set_params(self, **params: Any) -> Self:
        """Set hyper-parameters; raises `BenchError` where one is unknown or not allowed."""
        super().set_params(**params)
        self._explicit()
        return self

    def _explicit(self) -> list[tuple[int, ...]]:
        """The label sets of ``labelsets``, each sorted; none where they are to be drawn."""
        if self.labelsets is None:
            return []
        written: Iterable[Iterable[str | int]] = (
            [labelset.split("-") for labelset in self.labelsets.split("/")]
            if isinstance(self.labelsets, str)
            else self.labelsets
        )
        try:
            sets = [tuple(sorted(int(label) for label in labelset)) for labelset in written]
        except (TypeError, ValueError):
            sets = []
        if sets and all(sets) and all(_distinct(group) for group in (sets, *sets)):
            return sets
        raise InputError(
            f"rakel[labelsets={self.labelsets}] is not allowed: labelsets takes distinct sets of "
            "label numbers from 0, such as 0-1-2/1-3-4, or none"
        )

    def _label_sets(self, labels: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
        """The label sets to learn: the explicit ones, else ``models`` distinct ones, drawn."""
        sets = self._explicit()
        if sets:
            if max(map(max, sets)) >= labels or min(map(min, sets)) < 0:
                raise BenchError(
                    f"rakel[labelsets={self.labelsets}] does not fit {labels} labels; number them "
                    f"from 0 to {labels - 1}"
                )
            return sets
        if self.k >= labels:
            raise BenchError(
                f"rakel[k={self.k}] needs more than k labels and got {labels}; "
                + (f"take k from 1 to {labels - 1}" if labels > 1 else "take br for one label")
            )
        exist = comb(labels, self.k)
        if self.models > exist:
            raise BenchError(
                f"rakel[k={self.k},models={self.models}] needs {self.models} distinct sets of "
                f"{self.k} of {labels} labels and there are {exist}; take models from 1 to {exist}"
            )
        drawn: dict[tuple[int, ...], None] = {}
        while len(drawn) < self.models:
            drawn[tuple(sorted(rng.choice(labels, self.k, replace=False).tolist()))] = None
        return list(drawn)

    def fit(self, X: np.ndarray, Y: np.ndarray, sample_weight: ArrayLike | None = None) -> Self:
        """Draw and learn; ``X`` float (n, d), ``Y`` bool (n, L), L > k.

        Sets ``labelsets_``, the label sets in the order drawn.

        Raises
        ------
        BenchError
            Where X, Y or the weights have a wrong shape or values, where k or ``models`` is too
            large for the labels, or where the base takes no ``sample_weight`` float (n,).
        """
        X, Y, weights = self._checked(X, Y, sample_weight)
        rng = np.random.default_rng(self.random_state)
        self.n_labels_ = Y.shape[1]
        self.labelsets_ = self._label_sets(self.n_labels_, rng)
        self.combinations_, problems = [], []
        for labelset in self.labelsets_:
            combinations, y = np.unique(Y[:, labelset], axis=0, return_inverse=True)
            self.combinations_.append(combinations)
            problems.append(Problem(y.reshape(-1), len(combinations)))
        self.models_ = fit_base(self._resolved(), X, problems, rng, weights)
        return self

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean votes float (n, L) in [0, 1], and labels bool (n, L) where they reach 1/2."""
        X = self._scaled(X)
        votes, voters = np.zeros((len(X), self.n_labels_)), np.zeros(self.n_labels_)
        decisions = self.models_.decisions(X)
        for labelset, combinations, decision in zip(
            self.labelsets_, self.combinations_, decisions, strict=True
        ):
            votes[:, labelset] += combinations[decision]
            voters[list(labelset)] += 1
        scores = votes / np.maximum(voters, 1)
        return scores, scores >= 0.5 if self.equality == "positive" else scores > 0.5

    def remarks(self) -> tuple[str, ...]:
        """The label sets that were learnt."""
        sets = "/".join("-".join(map(str, labelset)) for labelset in self.labelsets_)
        return (f"rakel label sets: {sets}",)


def _distinct(items: Sequence[Hashable]) -> bool:
    return len(set(items)) == len(items)
