"""How each claim is tested: `results/published/claims.toml` as contrasts of two sides.

One ``[[claim]]`` for each row of ``claims.csv``, which gives datasets, metrics and direction:

``id``, ``table``
    The claim, and the table of its paper whose conditions (protocol, budget, seeds …) runs have.
``pairs = [["LEFT", "RIGHT"], …]``
    Left and right run, compared in every metric and dataset of the claim. A pair may also be a
    table ``{left=, right=, table=, dataset=, against=}``: in another table's conditions, on one
    dataset, the right side on another one. ``with = ["clr", …]`` adds ``+clr`` to both sides.
``classes = ["fear", …]``
    The pairs are compared in these classes' recalls; ``enough`` of them suffice.
``folds = 10``
    They are compared in each fold.
``order = ["A", "B", …]``
    Each run is above the one before.
``sweep = ["A", …]``, ``peak = "B"``
    The peak is better than every other.
``curve = {run=, column=}``
    The column's mean over the last third of the epochs is above that over the first;
    ``phase`` and ``over`` name two phases, whose last thirds are compared.
``worst = {run=, classes=[…], others=[…]}``
    Each of these classes' recalls is compared with each of the others'.
``confused = [{run=, dataset=, true=, predicted=[…], others=[…]}, …]``
    Faces of a class are taken for each of ``predicted`` more often than for each of ``others``.
``gains = [{run=, over=, table=, dataset=}, {…}]``
    What the first run has over another is compared with what the second has.
``placebo = [["LEFT", "PLACEBO"], …]``
    As pairs, told beside the verdict and without a part in it.
``primary = "micro_f1"``
    The criterion that counts where a claim has several on a dataset; ``"all"`` where the claim is
    about all of them. Otherwise average precision, or accuracy; the others are told and do not
    count.
``metrics``, ``datasets``
    In place of the claim's, where it names what bench calls otherwise.
``partial``
    What of the claim cannot be tested: what holds then is undecided.
``untestable``
    Why none of it can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, product
from typing import Any

import msgspec

from bench.api import BenchError, near
from bench.data.typed import checked, parse_toml
from bench.papers.contrasts import Contrast, Need, Side
from bench.papers.files import FOLDER, text
from bench.papers.published import Claim, claims
from bench.papers.reading import FIRST, LAST, better, known
from bench.run.grammar import parse_methods

FILE = "claims.toml"

ALL = "all"
_PRIMARY = ("average_precision", "accuracy")  # named beforehand for every claim of several

_SIGNS = {"left better": 1, "left worse": -1, "rises-then-falls": 1}  # of what is better


@dataclass(frozen=True)
class ClaimTest:
    """How one claim is tested.

    Attributes
    ----------
    contrasts : tuple of Contrast
        What has to hold; empty where it cannot be tested.
    placebos : tuple of Contrast
        What is compared beside it.
    enough : int
        Groups that have to hold; 0: all.
    partial, untestable : str
        What of it cannot be tested, and why none of it can; "" otherwise.
    """

    claim: str
    contrasts: tuple[Contrast, ...] = ()
    placebos: tuple[Contrast, ...] = ()
    enough: int = 0
    partial: str = ""
    untestable: str = ""


@cache
def load_tests() -> dict[str, ClaimTest]:
    """The test of every claim, by its id.

    Raises
    ------
    BenchError
        Naming the file, the claim and what is wrong.
    """
    return read_tests(text(FILE), claims())


def read_tests(source: str, of: Iterable[Claim]) -> dict[str, ClaimTest]:
    """The tests that a text states, one for each of these claims; raises as `load_tests`."""
    file = f"{FOLDER}/{FILE}"
    by_id = {claim.id: claim for claim in of}
    tests: dict[str, ClaimTest] = {}
    for entry in parse_toml(source, _File, file).claim:
        name = str(entry.get("id", ""))
        if name not in by_id:
            raise BenchError(f"{file}: no claim {name!r}: {near(name, by_id)}")
        if name in tests:
            raise BenchError(f"{file}: {name} stands twice; leave one")
        tests[name] = _test(entry, by_id[name], f"{file}, {name}")
    missing = [name for name in by_id if name not in tests]
    if missing:
        raise BenchError(f"{file}: nothing says how {', '.join(missing)} is tested: add an entry")
    return tests


def _test(entry: dict[str, Any], claim: Claim, place: str) -> ClaimTest:
    """The test that an entry states; its form is the one key of `_FORMS` that it has."""
    forms = [form for form in _FORMS if form in entry]
    if len(forms) != 1:
        raise BenchError(f"{place}: one of {', '.join(_FORMS)} is wanted, and it has {len(forms)}")
    form = checked(entry, _FORMS[forms[0]], place)
    try:
        test = form.test(claim)
        for contrast in (*test.contrasts, *test.placebos):
            for side in (contrast.left, contrast.right):
                _check(side)
    except BenchError as error:
        raise BenchError(f"{place}: {error}") from error
    return test


def _check(side: Side) -> None:
    if not side.need.table:
        raise BenchError("table is missing")
    if not known(side.metric):
        raise BenchError(f"{side.metric!r} is no metric of bench: state `metrics`")
    for run in filter(None, (side.need.run, side.over)):
        if len(parse_methods(run)) != 1 or "|" in run:
            raise BenchError(f"{run!r} should name one method: no list and no sweep")


def _sign(claim: Claim, metric: str) -> int:
    """Which way the claim points: 1 where the left value should be larger, 0 where equal."""
    if claim.direction == "equal":
        return 0
    if claim.direction in ("left higher", "rises"):
        return 1
    return _SIGNS[claim.direction] * better(metric)


def _better_or_higher(metric: str) -> int:
    """Which way is better; up where neither is."""
    try:
        return better(metric)
    except BenchError:
        return 1


def _marked(contrasts: Sequence[Contrast], primary: str) -> Iterable[Contrast]:
    """The contrasts, with which of them count: of several criteria on a dataset, the primary."""
    of_dataset: dict[str, set[str]] = {}
    for contrast in contrasts:
        of_dataset.setdefault(contrast.left.need.dataset, set()).add(_kind(contrast))
    if primary not in ("", ALL, *set().union(*of_dataset.values())):
        raise BenchError(f"the primary criterion {primary!r} is none of the claim's metrics")
    for contrast in contrasts:
        kinds = of_dataset[contrast.left.need.dataset]
        named = [name for name in (primary, *_PRIMARY) if name in kinds][:1]
        counted = primary == ALL or len(kinds) == 1 or not named or _kind(contrast) in named
        yield replace(contrast, counted=counted)


def _kind(contrast: Contrast) -> str:
    """The metric, without the class that it is of."""
    return contrast.left.metric.partition(":")[0]


# -- the forms of a test --------------------------------------------------------------------------


class _File(msgspec.Struct, forbid_unknown_fields=True):
    claim: tuple[dict[str, Any], ...]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every key has to be known."""


class _Pair(_Strict, frozen=True, kw_only=True):
    """Two runs; ``against`` is the right one's dataset where it is another than the left one's."""

    left: str
    right: str
    table: str = ""
    dataset: str = ""
    against: str = ""


class _CurveOf(_Strict, frozen=True, kw_only=True):
    run: str
    column: str
    phase: str = ""
    over: str = ""


class _WorstOf(_Strict, frozen=True, kw_only=True):
    run: str
    classes: tuple[str, ...]
    others: tuple[str, ...]


class _ConfusedOf(_Strict, frozen=True, kw_only=True):
    run: str
    dataset: str
    true: str
    predicted: tuple[str, ...]
    others: tuple[str, ...]


class _GainOf(_Strict, frozen=True, kw_only=True):
    run: str
    over: str
    table: str
    dataset: str


class _Form(_Strict, frozen=True, kw_only=True):
    """What every form of a test has, and how its contrasts are made for a claim."""

    id: str
    table: str = ""
    metrics: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    partial: str = ""
    primary: str = ""
    placebo: tuple[tuple[str, str] | _Pair, ...] = ()

    def test(self, claim: Claim) -> ClaimTest:
        contrasts = tuple(_marked(tuple(self.contrasts(claim)), self.primary))
        placebos = tuple(self.placebos(claim))
        enough = getattr(self, "enough", 0)
        return ClaimTest(claim.id, contrasts, placebos, enough, self.partial)

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        raise NotImplementedError

    def placebos(self, claim: Claim) -> Iterable[Contrast]:
        for pair in self.placebo:
            yield from self.paired(claim, pair, placebo=True)

    def cells(self, claim: Claim) -> list[tuple[str, str]]:
        """Datasets and metrics, cell by cell; one dataset or metric is of all cells."""
        datasets = claim.datasets if self.datasets is None else self.datasets
        metrics = claim.metrics if self.metrics is None else self.metrics
        cells = max(len(datasets), len(metrics))
        if len(datasets) not in (1, cells) or len(metrics) not in (1, cells):
            raise BenchError(f"{len(datasets)} datasets and {len(metrics)} metrics do not align")
        aligned = zip(
            datasets * (cells // len(datasets)), metrics * (cells // len(metrics)), strict=True
        )
        return list(dict.fromkeys(aligned))

    def datasets_of(self, claim: Claim) -> list[str]:
        return list(dict.fromkeys(dataset for dataset, _ in self.cells(claim)))

    def metrics_of(self, claim: Claim) -> list[str]:
        return list(dict.fromkeys(metric for _, metric in self.cells(claim)))

    def side(self, run: str, dataset: str, metric: str) -> Side:
        return Side(Need(self.table, dataset, run), metric)

    def paired(
        self, claim: Claim, pair: tuple[str, str] | _Pair, plus: str = "", placebo: bool = False
    ) -> Iterable[Contrast]:
        """The contrasts of a pair: of every cell, class and fold."""
        if isinstance(pair, tuple):
            pair = _Pair(left=pair[0], right=pair[1])
        left_run, right_run = (f"{run}+{plus}" if plus else run for run in (pair.left, pair.right))
        table = pair.table or self.table
        for dataset, metric in self._cells_of(pair, claim):
            for (reading, group), fold in product(self._readings(metric), self._folds()):
                left = Side(Need(table, dataset, left_run), reading, fold)
                right = Side(Need(table, pair.against or dataset, right_run), reading, fold)
                sign = _better_or_higher(reading) if placebo else _sign(claim, reading)
                yield Contrast(left, right, sign, group)

    def _cells_of(self, pair: _Pair, claim: Claim) -> list[tuple[str, str]]:
        """The claim's cells on the pair's dataset; its metrics where none is on that."""
        if not pair.dataset:
            return self.cells(claim)
        cells = [cell for cell in self.cells(claim) if cell[0] == pair.dataset]
        return cells or [(pair.dataset, metric) for metric in self.metrics_of(claim)]

    def _readings(self, metric: str) -> list[tuple[str, str]]:
        """What is read in a cell, with the group that it counts for."""
        return [(metric, "")]

    def _folds(self) -> Iterable[int]:
        return (0,)


class _Pairs(_Form, frozen=True, kw_only=True):
    pairs: tuple[tuple[str, str] | _Pair, ...]
    classifiers: tuple[str, ...] = msgspec.field(default=("",), name="with")
    classes: tuple[str, ...] = ()
    folds: int = 0
    enough: int = 0

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        for pair, classifier in product(self.pairs, self.classifiers):
            yield from self.paired(claim, pair, classifier)

    def _readings(self, metric: str) -> list[tuple[str, str]]:
        recalls = [f"recall:{name}" for name in self.classes]
        return [(recall, recall) for recall in recalls] or [(metric, "")]

    def _folds(self) -> Iterable[int]:
        return range(1, self.folds + 1) if self.folds else (0,)


class _Order(_Form, frozen=True, kw_only=True):
    order: tuple[str, ...]

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        for before, after in pairwise(self.order):
            for dataset, metric in self.cells(claim):
                left, right = (self.side(run, dataset, metric) for run in (after, before))
                yield Contrast(left, right, 1)


class _Sweep(_Form, frozen=True, kw_only=True):
    sweep: tuple[str, ...]
    peak: str

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        if self.peak not in self.sweep:
            raise BenchError(
                f"the peak {self.peak} is not in its sweep: {near(self.peak, self.sweep)}"
            )
        for run in self.sweep:
            if run != self.peak:
                yield from self.paired(claim, (self.peak, run))


class _Curve(_Form, frozen=True, kw_only=True):
    curve: _CurveOf
    placebo: tuple[str, ...] = ()  # type: ignore[assignment]  # runs, whose curves may rise as well

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        yield from self._of(self.curve.run, claim)

    def placebos(self, claim: Claim) -> Iterable[Contrast]:
        for run in self.placebo:
            yield from self._of(run, claim)

    def _of(self, run: str, claim: Claim) -> Iterable[Contrast]:
        column, phases = self.curve.column, (self.curve.phase, self.curve.over)
        if any(phases) and not all(phases):
            raise BenchError("a curve has phase and over, two phases, or neither")
        if any(phases):
            metrics = [f"curve:{column}@{phase}:{LAST}" for phase in phases]
        else:
            metrics = [f"curve:{column}:{third}" for third in (LAST, FIRST)]
        for dataset in self.datasets_of(claim):
            left, right = (self.side(run, dataset, metric) for metric in metrics)
            yield Contrast(left, right, 1)


class _Worst(_Form, frozen=True, kw_only=True):
    worst: _WorstOf

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        sign = _sign(claim, "recall")
        for dataset in self.datasets_of(claim):
            for names in product(self.worst.classes, self.worst.others):
                metrics = [f"recall:{name}" for name in names]
                left, right = (self.side(self.worst.run, dataset, metric) for metric in metrics)
                yield Contrast(left, right, sign)


class _Confused(_Form, frozen=True, kw_only=True):
    confused: tuple[_ConfusedOf, ...]

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        for row in self.confused:
            for names in product(row.predicted, row.others):
                metrics = [f"confusion:{row.true}:{name}" for name in names]
                left, right = (self.side(row.run, row.dataset, metric) for metric in metrics)
                yield Contrast(left, right, 1)


class _Gains(_Form, frozen=True, kw_only=True):
    gains: tuple[_GainOf, _GainOf]

    def contrasts(self, claim: Claim) -> Iterable[Contrast]:
        for metric in self.metrics_of(claim):
            left, right = (
                Side(Need(gain.table, gain.dataset, gain.run), metric, over=gain.over)
                for gain in self.gains
            )
            yield Contrast(left, right, _sign(claim, metric))


class _Untestable(_Form, frozen=True, kw_only=True):
    untestable: str

    def test(self, claim: Claim) -> ClaimTest:
        return ClaimTest(claim.id, untestable=self.untestable)


_FORMS: dict[str, type[_Form]] = {
    "pairs": _Pairs,
    "order": _Order,
    "sweep": _Sweep,
    "curve": _Curve,
    "worst": _Worst,
    "confused": _Confused,
    "gains": _Gains,
    "untestable": _Untestable,
}
