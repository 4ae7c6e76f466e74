"""Several linear support vector machines on one Gram matrix, each on rows of its own.

The linear SVM of LIBSVM (C.-C. Chang and C.-J. Lin, ACM TIST 2 (2011) 27, Eq. 1), solved in the
dual.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.svm import SVC


class Task(NamedTuple):
    """What one machine learns.

    Attributes
    ----------
    rows : bool (n,)
        The training rows that it sees.
    above : bool (n,)
        Those of them that its decision should be above 0 for.
    """

    rows: np.ndarray
    above: np.ndarray


def solve(products: np.ndarray, above: np.ndarray, cost: float) -> tuple[np.ndarray, float]:
    """Dual coefficients (n,), signed by class, and intercept of one machine.

    ``products`` float64 (n, n) is the Gram matrix. With one class only, or none, w = 0 and the
    intercept is 1 or −1.
    """
    dual = np.zeros(len(above))
    if above.all() or not above.any():
        return dual, 1.0 if above.any() else -1.0
    machine = SVC(C=cost, kernel="precomputed").fit(products, above)
    dual[machine.support_] = machine.dual_coef_[0]
    return dual, float(machine.intercept_[0])


def train(
    products: np.ndarray, tasks: Sequence[Task], costs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients (M, n) and intercepts (M,) of M machines, each with its cost."""
    dual, intercepts = np.zeros((len(tasks), len(products))), np.zeros(len(tasks))
    for number, (rows, above) in enumerate(tasks):
        inside = products if rows.all() else products[np.ix_(rows, rows)]
        dual[number, rows], intercepts[number] = solve(inside, above[rows], costs[number])
    return dual, intercepts


def held_out(
    products: np.ndarray, tasks: Sequence[Task], costs: np.ndarray, folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each fold the rows left out, bool (n,), and their decisions, float (K, m, M).

    The folds are a fixed shuffle. K machines, one for each cost, are trained on the other rows of
    each task.
    """
    fold = np.random.default_rng(0).permutation(len(products)) % folds
    for part in range(folds):
        out = fold == part
        decisions = np.empty((len(costs), np.count_nonzero(out), len(tasks)))
        used, inside, across = out, products[:0], products[:0]
        for number, (rows, above) in enumerate(tasks):
            if ((rows & ~out) != used).any():  # many tasks share their rows
                used = rows & ~out
                del inside, across  # or they stay while the next ones are made
                inside, across = products[np.ix_(used, used)], products[np.ix_(out, used)]
            for row, cost in enumerate(costs):
                dual, intercept = solve(inside, above[used], cost)
                decisions[row, :, number] = across @ dual + intercept
        del inside, across
        yield out, decisions
