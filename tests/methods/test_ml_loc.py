"""`ml-loc` against a slow literal implementation, and its identities (no authors' code exists)."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import shared
from bench.methods.ml_loc import best_codes
from builtin import method_class
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from bench.api import BenchError
from bench.score.criteria import evaluate

MLLOC = method_class("ml-loc")


def problem(n: int = 90, d: int = 5, labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    causes = X[:, :2] @ rng.normal(size=(2, labels))
    return X, causes + 0.5 * rng.normal(size=(n, labels)) > 0.3


def slow_kernel(A: np.ndarray, B: np.ndarray, gamma: float) -> np.ndarray:
    return np.array([[np.exp(-gamma * ((a - b) ** 2).sum()) for b in B] for a in A])


class SlowMLLOC:
    """AAAI 2012 as the plug-in's docstring has it, a row and a label at a time.

    The groups to start from are given; everything else is scikit-learn's and scipy's.
    """

    def __init__(self, start: np.ndarray, lam1: float, lam2: float, gamma: float) -> None:
        self.codes, self.lam1, self.lam2, self.gamma = start, lam1, lam2, gamma

    def fit(self, X: np.ndarray, Y: np.ndarray, rounds: int) -> SlowMLLOC:
        self.X, self.y = X, np.where(Y, 1.0, -1.0)
        self.K = slow_kernel(X, X, self.gamma)
        self.objective = []
        self.find_prototypes()
        self.find_machines()
        for _ in range(rounds):
            self.find_codes()
            self.find_prototypes()
            self.find_machines()
        return self

    def find_prototypes(self) -> None:
        self.p = np.array([c @ self.y / c.sum() for c in self.codes.T])

    def find_machines(self) -> None:
        C, total = 1 / (2 * self.lam1), 0.0
        self.machines = []
        for y in self.y.T:
            joined = self.K + self.codes @ self.codes.T
            machine = SVC(C=C, kernel="precomputed", tol=1e-7).fit(joined, y)
            dual = np.zeros(len(y))
            dual[machine.support_] = machine.dual_coef_[0]
            g, v = self.K @ dual + machine.intercept_[0], dual @ self.codes
            self.machines.append((dual, machine.intercept_[0], g, v))
            total += sum(
                max(0.0, 1 - y[i] * (g[i] + v @ c)) for i, c in enumerate(self.codes)
            ) + self.lam1 * (dual @ joined @ dual)
        for i, c in enumerate(self.codes):
            total += self.lam2 * sum(
                c[j] * ((self.y[i] - p) ** 2).sum() for j, p in enumerate(self.p)
            )
        self.objective.append(total)

    def find_codes(self) -> None:
        new = []
        for i in range(len(self.X)):
            distances = [self.lam2 * ((self.y[i] - p) ** 2).sum() for p in self.p]
            g = np.array([machine[2][i] for machine in self.machines])
            v = np.array([machine[3] for machine in self.machines])
            new.append(slow_code(g, v, self.y[i], np.array(distances)))
        self.codes = np.array(new)

    def scores(self, T: np.ndarray) -> np.ndarray:
        across = slow_kernel(T, self.X, self.gamma)
        codes = [
            SVR(kernel="precomputed", tol=1e-7).fit(self.K, c).predict(across) for c in self.codes.T
        ]
        return np.array(
            [across @ dual + b + v @ np.array(codes) for dual, b, _, v in self.machines]
        ).T


def slow_code(g: np.ndarray, v: np.ndarray, y: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """One row's linear programme in (c, ξ)."""
    labels, m = v.shape
    solution = linprog(
        [*distances, *np.ones(labels)],
        A_ub=np.hstack([-y[:, None] * v, -np.eye(labels)]),
        b_ub=y * g - 1,
        A_eq=[[*np.ones(m), *np.zeros(labels)]],
        b_eq=[1],
    )
    return solution.x[:m]


def code_cost(c: np.ndarray, g: np.ndarray, v: np.ndarray, y: np.ndarray, d: np.ndarray) -> float:
    return float(np.maximum(0, 1 - y * (g + v @ c)).sum() + d @ c)


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.5, 100.0])
def test_codes_equal_one_programme_per_row(weight: float) -> None:
    rng = np.random.default_rng(1)
    n, m, labels = 150, 5, 4
    g, v = rng.normal(size=(n, labels)), rng.normal(size=(labels, m)) * 2
    sign = rng.choice([-1.0, 1.0], size=(n, labels))
    distances = weight * rng.random((n, m)) * 8
    start = np.full((n, m), 1 / m)
    codes = best_codes(start, g, v, sign, distances)
    assert (codes >= 0).all()
    np.testing.assert_allclose(codes.sum(axis=1), 1, atol=1e-12)
    for i in range(n):
        row = (g[i], v, sign[i], distances[i])
        best = code_cost(slow_code(*row), *row)
        assert code_cost(codes[i], *row) == pytest.approx(best, abs=1e-7)
        assert code_cost(codes[i], *row) <= code_cost(start[i], *row)


@pytest.mark.parametrize("lam2", [0.02, 0.3, 100.0])
def test_equals_the_slow_implementation(lam2: float) -> None:
    X, Y = problem()
    T = problem(120)[0][90:]
    method = MLLOC(m=4, lam2=lam2, gamma=0.2, scale="none").fit(X, Y)
    rounds = len(method.objective_) - 1
    slow = SlowMLLOC(method._start(np.where(Y, 1.0, -1.0)), 1.0, lam2, 0.2).fit(X, Y, rounds)
    # Programmes may have several solutions; what they cost has one value, at least at the start.
    assert method.objective_[0] == pytest.approx(slow.objective[0], rel=1e-5)
    assert method.objective_[-1] == pytest.approx(slow.objective[-1], rel=0.02)
    if lam2 == 100:
        np.testing.assert_allclose(method.codes_, slow.codes, atol=1e-7)
        np.testing.assert_allclose(method.scores(T), slow.scores(T), atol=2e-3)
    else:
        assert rounds > 0


@pytest.mark.parametrize("lam2", [0.0, 0.01, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("lam1", [0.05, 1.0])
def test_the_objective_never_rises_and_codes_stay_in_the_simplex(lam1: float, lam2: float) -> None:
    X, Y = problem()
    method = MLLOC(m=6, lam1=lam1, lam2=lam2).fit(X, Y)
    objective = np.array(method.objective_)
    assert (np.diff(objective) <= 1e-9 * objective[0]).all()
    assert (method.codes_ >= 0).all()
    np.testing.assert_allclose(method.codes_.sum(axis=1), 1, atol=1e-9)
    if lam2 == 0.01:
        assert objective[-1] < 0.96 * objective[0]
        assert (method.codes_.max(axis=1) < 0.99).any()


def test_a_large_lam2_gives_the_nearest_prototype() -> None:
    X, Y = problem()
    method = MLLOC(m=5, lam2=1e6).fit(X, Y)
    distances = ((np.where(Y, 1, -1)[:, None] - method.prototypes_) ** 2).sum(axis=2)
    np.testing.assert_array_equal(method.codes_, np.eye(5)[distances.argmin(axis=1)])


@pytest.mark.parametrize("lam2", [0.1, 100.0])
def test_permuted_labels_permute_the_output(lam2: float) -> None:
    X, Y = problem()
    order = np.array([2, 0, 3, 1])
    scores = MLLOC(m=4, lam2=lam2).fit(X, Y).scores(X)
    np.testing.assert_allclose(
        MLLOC(m=4, lam2=lam2).fit(X, Y[:, order]).scores(X), scores[:, order], atol=5e-3
    )


@pytest.mark.parametrize("lam1", [0.1, 1.0])
def test_one_code_is_one_machine_per_label(lam1: float) -> None:
    X, Y = problem()
    low, span = X.min(axis=0), np.ptp(X, axis=0)
    scores, labels = MLLOC(m=1, lam1=lam1, gamma=0.8).fit(X, Y).scores_and_labels(X)
    scaled = (X - low) / span
    for label, y in enumerate(Y.T):
        machine = SVC(C=1 / (2 * lam1), gamma=0.8, tol=1e-6).fit(scaled, y)
        expected = machine.decision_function(scaled)
        np.testing.assert_allclose(scores[:, label], expected, atol=2e-4)
        np.testing.assert_array_equal(labels[:, label], machine.predict(scaled))


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
@pytest.mark.parametrize("run", ["rbf1.0", "rbf1_d"])
def test_one_code_gives_the_reference_results(name: str, run: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    gamma = 1.0 if run == "rbf1.0" else 1 / X.shape[1]
    scores, labels = MLLOC(m=1, gamma=gamma).fit(X, Y).scores_and_labels(T)
    values = evaluate(truth, scores, labels, "sklearn").values
    reference = shared.reference(f"{name}-brsvm-{run}")["criteria"]
    for criterion, expected in reference.items():
        found = values[criterion.replace("coverage", "coverage_one_based")]
        tolerance = 0.02 if criterion == "coverage" else 0.002
        assert found == pytest.approx(expected, rel=0, abs=tolerance), criterion
    bars = shared.bars(reference=f"{name}-brsvm-{run}.json")
    assert {bar["criterion"]: bar["target"] for bar in bars} == reference


@shared.needs_reference
@pytest.mark.parametrize("lam2", [1.0, 100.0])
def test_is_near_another_implementation_of_the_same_objective(lam2: float) -> None:
    X, Y, T, truth = shared.mulan("emotions")
    scores, labels = MLLOC(gamma=1.0, lam2=lam2).fit(X, Y).scores_and_labels(T)
    values = evaluate(truth, scores, labels, "sklearn").values
    run = shared.reference(f"emotions-mlloc-py-rbf1.0-l2_{lam2:g}")
    for criterion in ("hamming_loss", "ranking_loss", "average_precision", "micro_f1"):
        # It does not say how it regressed the codes.
        assert values[criterion] == pytest.approx(run["criteria"][criterion], abs=0.03), criterion


def test_labels_that_all_rows_or_none_have_and_few_rows() -> None:
    X, Y = problem(40)
    Y[:, 0], Y[:, 1] = True, False
    scores, labels = MLLOC(m=3).fit(X, Y).scores_and_labels(X)
    assert (scores[:, 0] == 1).all()
    assert (scores[:, 1] == -1).all()
    np.testing.assert_array_equal(labels, scores >= 0)
    for rows in (1, 2, 5):
        for Z in (X[:rows], np.ones((rows, 2))):
            method = MLLOC().fit(Z, Y[:rows])
            assert np.isfinite(method.scores(Z)).all()
            assert method.codes_.shape[1] == len(np.unique(Y[:rows], axis=0))


def test_the_seed_decides_and_the_input_stays() -> None:
    X, Y = problem()
    kept = X.copy(), Y.copy()
    first, again = (MLLOC(m=4, lam2=0.1).fit(X, Y).scores(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(Y, kept[1])
    single = MLLOC(m=4).fit(X.astype(np.float32), Y.astype(int)).scores(X.astype(np.float32))
    np.testing.assert_allclose(single, MLLOC(m=4).fit(X, Y).scores(X), atol=5e-3)


def test_is_a_scikit_learn_estimator() -> None:
    X, Y = problem()
    method = clone(MLLOC(m=3, lam2=1.0))
    assert method.get_params() == {
        "m": 3, "lam1": 1.0, "lam2": 1.0, "gamma": "scale", "C": 1.0, "scale": "minmax",
        "random_state": 0,
    }  # fmt: skip
    pipeline = make_pipeline(StandardScaler(), method).fit(X, Y)
    np.testing.assert_array_equal(pipeline.predict(X), pipeline.decision_function(X) >= 0)
    twin = copy.deepcopy(pipeline)
    np.testing.assert_array_equal(twin.decision_function(X), pipeline.decision_function(X))
    assert "gamma = " in method.remarks()[0]
    assert "3 codes" in method.remarks()[0]
    assert MLLOC.stochastic


def test_says_what_memory_it_needs() -> None:
    assert MLLOC().memory_needed(4485, 5900, 6, 4) == pytest.approx(0.37e9, rel=0.02)


def test_bad_values_are_one_sentence() -> None:
    X, Y = problem(20)
    for params, says in (
        ({"m": 0}, r"ml-loc\[m=0\].*int >= 1"),
        ({"lam1": 0}, r"ml-loc\[lam1=0\]"),
        ({"lam2": -1}, r"ml-loc\[lam2=-1\]"),
        ({"gamma": 0}, r"ml-loc\[gamma=0\]"),
    ):
        with pytest.raises(BenchError, match=says):
            MLLOC(**params)
    with pytest.raises(BenchError, match=r"ml-loc\[gamma=auto\].*scale or a float > 0"):
        MLLOC(gamma="auto").fit(X, Y)
    with pytest.raises(BenchError, match="20 rows of features but 19 rows of labels"):
        MLLOC().fit(X, Y[1:])
    with pytest.raises(BenchError, match="only after fit"):
        MLLOC().scores(X)
