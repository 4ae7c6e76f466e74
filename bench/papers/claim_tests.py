"""How each claim is tested: `results/published/claims.toml` as comparisons.

One ``[[claim]]`` for each row of ``claims.csv``, which gives datasets, metrics and direction:

``id``, ``table``
    The claim, and the table of its paper whose setting (protocol, budget, seeds …) the runs have.
``pairs = [["LEFT", "RIGHT"], …]``
    Left and right run, compared in every metric and dataset of the claim. A pair may also be a
    table ``{left=, right=, table=, dataset=, against=}``: in another table's setting, on one
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
``metrics``, ``datasets``
    In place of the claim's, where it names what bench calls otherwise.
``partial``
    What of the claim cannot be tested: what holds then is undecided.
``untestable``
    Why none of it can be.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from bench.api import BenchError, near
from bench.papers.comparing import Asked, Need, Side
from bench.papers.published import Claim, claims, text
from bench.papers.reading import FIRST, LAST, better, known
from bench.run.grammar import parse_methods

FILE = "claims.toml"

# What a form of test takes besides the keys of all.
_FORMS: dict[str, tuple[str, ...]] = {
    "pairs": ("with", "classes", "folds", "enough"),
    "order": (),
    "sweep": ("peak",),
    "curve": (),
    "worst": (),
    "confused": (),
    "gains": (),
    "untestable": (),
}
_ALWAYS = ("id", "table", "metrics", "datasets", "placebo", "partial")
_DIRECTIONS = {"left better": 1, "left worse": -1, "rises-then-falls": 1}


@dataclass(frozen=True)
class Test:
    """How one claim is tested.

    Attributes
    ----------
    asked : tuple of Asked
        What has to hold; empty where it cannot be tested.
    placebos : tuple of Asked
        What is compared beside it.
    enough : int
        Groups that have to hold; 0: all.
    partial, untestable : str
        What of it cannot be tested, and why none of it can; "" otherwise.
    """

    __test__ = False  # pytest takes classes of this name for its own

    claim: str
    asked: tuple[Asked, ...] = ()
    placebos: tuple[Asked, ...] = ()
    enough: int = 0
    partial: str = ""
    untestable: str = ""


@cache
def load_tests() -> dict[str, Test]:
    """The test of every claim, by its id.

    Raises
    ------
    BenchError
        Naming the file, the claim and what is wrong.
    """
    return read_tests(text(FILE), claims())


def read_tests(source: str, about: Iterable[Claim]) -> dict[str, Test]:
    """The tests that a text states, one for each of these claims; raises as `load_tests`."""
    where = f"results/published/{FILE}"
    try:
        entries = tomllib.loads(source).get("claim", [])
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"{where} is no TOML: {error}") from error
    by_id = {claim.id: claim for claim in about}
    found: dict[str, Test] = {}
    for entry in entries:
        name = str(entry.get("id", ""))
        if name not in by_id:
            raise BenchError(f"{where}: no claim {name!r}: {near(name, by_id)}")
        if name in found:
            raise BenchError(f"{where}: {name} stands twice; leave one")
        try:
            found[name] = _Reader(by_id[name], entry).test()
        except KeyError as error:
            raise BenchError(f"{where}: {name}: {error.args[0]} is missing") from error
        except (BenchError, TypeError, ValueError, AttributeError) as error:
            raise BenchError(f"{where}: {name}: {error}") from error
    missing = [name for name in by_id if name not in found]
    if missing:
        raise BenchError(f"{where}: nothing says how {', '.join(missing)} is tested: add an entry")
    return found


class _Reader:
    """Reads one entry."""

    def __init__(self, claim: Claim, entry: dict[str, Any]) -> None:
        self.claim, self.entry = claim, entry
        forms = [form for form in _FORMS if form in entry]
        if len(forms) != 1:
            raise BenchError(f"one of {', '.join(_FORMS)} is wanted, and it has {len(forms)}")
        (self.form,) = forms
        allowed = (*_ALWAYS, self.form, *_FORMS[self.form])
        for key in entry:
            if key not in allowed:
                raise BenchError(f"{key} is not known beside {self.form}: {near(key, allowed)}")
        datasets = tuple(entry.get("datasets", claim.datasets))
        metrics = tuple(entry.get("metrics", claim.metrics))
        cells = max(len(datasets), len(metrics))
        if len(datasets) not in (1, cells) or len(metrics) not in (1, cells):
            raise BenchError(f"{len(datasets)} datasets and {len(metrics)} metrics do not align")
        aligned = zip(
            datasets * (cells // len(datasets)), metrics * (cells // len(metrics)), strict=True
        )
        self.cells = tuple(dict.fromkeys(aligned))

    def test(self) -> Test:
        """The entry as comparisons."""
        name, entry = self.claim.id, self.entry
        if self.form == "untestable":
            return Test(name, untestable=entry["untestable"])
        asked = tuple(getattr(self, f"_{self.form}")(entry[self.form]))
        placebos = tuple(self._placebo(entry.get("placebo", [])))
        for one in (*asked, *placebos):
            for side in (one.left, one.right):
                _check(side)
        return Test(name, asked, placebos, entry.get("enough", 0), entry.get("partial", ""))

    # -- forms ----------------------------------------------------------------------------------

    def _pairs(self, pairs: list[Any]) -> Iterable[Asked]:
        for pair in pairs:
            for plus in self.entry.get("with", [""]):
                yield from self._pair(pair, plus)

    def _order(self, runs: list[str]) -> Iterable[Asked]:
        for before, after in pairwise(runs):
            for dataset, metric in self.cells:
                left, right = (self._side(run, dataset, metric) for run in (after, before))
                yield Asked(left, right, 1)

    def _sweep(self, runs: list[str]) -> Iterable[Asked]:
        peak = self.entry["peak"]
        if peak not in runs:
            raise BenchError(f"the peak {peak} is not in its sweep: {near(peak, runs)}")
        yield from self._pairs([[peak, run] for run in runs if run != peak])

    def _curve(self, curve: dict[str, str]) -> Iterable[Asked]:
        run, column = curve["run"], curve["column"]
        if "phase" in curve:
            metrics = [f"curve:{column}@{curve[key]}:{LAST}" for key in ("phase", "over")]
        else:
            metrics = [f"curve:{column}:{which}" for which in (LAST, FIRST)]
        for dataset in dict.fromkeys(dataset for dataset, _ in self.cells):
            left, right = (self._side(run, dataset, metric) for metric in metrics)
            yield Asked(left, right, 1)

    def _worst(self, worst: dict[str, Any]) -> Iterable[Asked]:
        run = worst["run"]
        for dataset in dict.fromkeys(dataset for dataset, _ in self.cells):
            for name in worst["classes"]:
                for other in worst["others"]:
                    left, right = (
                        self._side(run, dataset, f"recall:{one}") for one in (name, other)
                    )
                    yield Asked(left, right, self._sign("recall"))

    def _confused(self, rows: list[dict[str, Any]]) -> Iterable[Asked]:
        for row in rows:
            for taken in row["predicted"]:
                for other in row["others"]:
                    left, right = (
                        self._side(row["run"], row["dataset"], f"confusion:{row['true']}:{one}")
                        for one in (taken, other)
                    )
                    yield Asked(left, right, 1)

    def _gains(self, gains: list[dict[str, str]]) -> Iterable[Asked]:
        for metric in dict.fromkeys(metric for _, metric in self.cells):
            left, right = (
                Side(Need(one["table"], one["dataset"], one["run"]), metric, over=one["over"])
                for one in gains
            )
            yield Asked(left, right, self._sign(metric))

    def _placebo(self, pairs: list[Any]) -> Iterable[Asked]:
        if self.form == "curve":  # the placebo's own, which may rise as well
            for run in pairs:
                yield from self._curve({**self.entry["curve"], "run": run})
            return
        for pair in pairs:
            yield from self._pair(pair, "", beside=True)

    # -- pieces ---------------------------------------------------------------------------------

    def _pair(self, pair: Any, plus: str, beside: bool = False) -> Iterable[Asked]:
        if isinstance(pair, dict):
            about = pair
        elif isinstance(pair, list) and len(pair) == 2:
            about = {"left": pair[0], "right": pair[1]}
        else:
            raise BenchError(f"a pair is [LEFT, RIGHT], not {pair!r}")
        runs = [about[key] + (f"+{plus}" if plus else "") for key in ("left", "right")]
        only = about.get("dataset")
        cells = [cell for cell in self.cells if only in (None, cell[0])]
        if not cells:
            cells = [(only, metric) for metric in dict.fromkeys(one for _, one in self.cells)]
        for dataset, metric in cells:
            for one in self._classes(metric):
                for fold in self._folds():
                    left, right = (
                        Side(Need(about.get("table") or self.entry["table"], where, run), one, fold)
                        for run, where in zip(
                            runs, (dataset, about.get("against", dataset)), strict=True
                        )
                    )
                    sign = _better_or(one) if beside else self._sign(one)
                    yield Asked(left, right, sign, one if self.entry.get("classes") else "")

    def _classes(self, metric: str) -> list[str]:
        return [f"recall:{name}" for name in self.entry.get("classes", [])] or [metric]

    def _folds(self) -> Iterable[int]:
        return range(1, self.entry["folds"] + 1) if "folds" in self.entry else (0,)

    def _side(self, run: str, dataset: str, metric: str) -> Side:
        return Side(Need(self.entry["table"], dataset, run), metric)

    def _sign(self, metric: str) -> int:
        """Which way the claim points."""
        direction = self.claim.direction
        if direction == "equal":
            return 0
        if direction in ("left higher", "rises"):
            return 1
        if direction not in _DIRECTIONS:
            raise BenchError(f"direction {direction!r}: {near(direction, _DIRECTIONS)}")
        return _DIRECTIONS[direction] * better(metric)


def _better_or(metric: str) -> int:
    """Which way is better; up where neither is."""
    try:
        return better(metric)
    except BenchError:
        return 1


def _check(side: Side) -> None:
    if not known(side.metric):
        raise BenchError(f"{side.metric!r} is no metric of bench: state `metrics`")
    for run in filter(None, (side.need.run, side.over)):
        if len(parse_methods(run)) != 1 or "|" in run:
            raise BenchError(f"{run!r} should name one method: no list and no sweep")
