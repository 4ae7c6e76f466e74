"""Rows on several datasets: ranks in words, as a table, and as a critical-difference diagram."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.api import BenchError
from bench.publish.comparison_words import ARROWS, number, small, within
from bench.publish.ranking import AnyCriterion
from bench.publish.rows import Row
from bench.score.over_datasets import ALPHA, DatasetRanks, compare_over_datasets

_WIDTH = 7.0  # inches
_LINE = 0.28  # of a row in the diagram, inches


@dataclass(frozen=True, eq=False)
class DatasetComparison:
    """k rows on N datasets by one criterion.

    Attributes
    ----------
    values : float (N, k)
    """

    names: tuple[str, ...]
    datasets: tuple[str, ...]
    criterion: AnyCriterion
    values: np.ndarray
    ranks: DatasetRanks


def over_datasets(
    names: Sequence[str], rows: Sequence[Sequence[Row]], criterion: AnyCriterion
) -> DatasetComparison:
    """Compare rows over datasets.

    Parameters
    ----------
    rows : sequence of sequence of Row
        The rows of ``names`` on each dataset.

    Raises
    ------
    BenchError
        Too few datasets, datasets that are one, a row without the criterion.
    """
    values = np.array([[_mean(row, criterion) for row in of_dataset] for of_dataset in rows])
    datasets = tuple(of_dataset[0].cell.dataset for of_dataset in rows)
    twice = {of_dataset[0].cell.fingerprint for of_dataset in rows}
    if len(twice) < len(datasets):
        raise BenchError(
            f"{len(datasets)} datasets are {len(twice)} different ones under several names: name "
            "each once with --dataset"
        )
    found = compare_over_datasets(values, criterion.direction == "higher")
    return DatasetComparison(tuple(names), datasets, criterion, values, found)


def _mean(row: Row, criterion: AnyCriterion) -> float:
    estimate = row.estimate(criterion.name)
    if estimate is None:
        raise BenchError(
            f"{row.cell.features or ''}{'+' * bool(row.cell.features and row.cell.classifier)}"
            f"{row.cell.classifier or ''} has no {criterion.title} on {row.cell.dataset}"
        )
    return estimate.mean


def sentences(comparison: DatasetComparison) -> list[str]:
    """What the ranks say."""
    ranks, count = comparison.ranks, len(comparison.datasets)
    order = np.argsort(ranks.mean, kind="stable")
    listed = ", ".join(f"{comparison.names[i]} {number(ranks.mean[i])[:-1]}" for i in order)
    title = within(comparison.criterion.title)
    said = [f"Mean ranks by {title} over {count} datasets, 1 is best: {listed}."]
    if ranks.friedman is not None:
        test = ranks.friedman
        different = (
            "do not all perform alike" if test.p < ALPHA else "cannot be told apart as a set"
        )
        said.append(
            f"Friedman's test: χ² = {test.chi2:.2f}, F({test.df[0]}, {test.df[1]}) = {test.f:.2f}, "
            f"p {small(test.p)}: the methods {different}."
        )
    said.append(_pairs(comparison))
    said.append(
        f"By Nemenyi's test, which looks at ranks alone, two mean ranks would have to differ by "
        f"{ranks.critical:.2f}."
    )
    return said


def _pairs(comparison: DatasetComparison) -> str:
    """Which pairs Wilcoxon's test tells apart."""
    ranks, names = comparison.ranks, comparison.names
    order = np.argsort(ranks.mean, kind="stable")
    apart = [
        f"{names[i]} is better than {names[j]} (p {small(ranks.p[i, j])})"
        for place, i in enumerate(order)
        for j in order[place + 1 :]
        if ranks.p[i, j] < ALPHA
    ]
    test = "Wilcoxon's signed-rank tests with Holm's correction"
    if len(names) == 2:
        test = "Wilcoxon's signed-rank test"
        if not apart:
            return f"{test}: they cannot be told apart (p {small(ranks.p[0, 1])})."
    return f"{test}: {'; '.join(apart) or 'no two methods can be told apart'}."


def table(comparison: DatasetComparison) -> list[tuple[str, ...]]:
    """A line per dataset, the mean ranks last."""
    criterion = comparison.criterion
    title = f"{criterion.title} {ARROWS[criterion.direction]}"
    lines = [
        (dataset, *(number(value) for value in values))
        for dataset, values in zip(comparison.datasets, comparison.values, strict=True)
    ]
    ranks = ("mean rank", *(f"{rank:.2f}" for rank in comparison.ranks.mean))
    return [(title, *comparison.names), *lines, ranks]


def as_json(comparison: DatasetComparison) -> dict[str, Any]:
    """Everything, in full precision."""
    ranks = comparison.ranks
    friedman = None
    if ranks.friedman is not None:
        test = ranks.friedman
        f = test.f if np.isfinite(test.f) else None  # JSON knows no infinity
        friedman = {"chi2": test.chi2, "f": f, "df": list(test.df), "p": test.p}
    return {
        "criterion": comparison.criterion.name,
        "rows": list(comparison.names),
        "datasets": list(comparison.datasets),
        "values": comparison.values.tolist(),
        "mean_ranks": ranks.mean.tolist(),
        "friedman": friedman,
        "wilcoxon_holm": ranks.p.tolist(),
        "nemenyi_critical_difference": ranks.critical,
        "sentences": sentences(comparison),
    }


def diagram(comparison: DatasetComparison) -> str:
    """A critical-difference diagram as SVG, the same bytes from the same ranks.

    Rows stand at their mean ranks; a bar joins those that Wilcoxon's tests with Holm's correction
    do not tell apart.
    """
    # Imported here: they take seconds, and nothing else draws.
    import matplotlib as mpl
    import pandas as pd
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from scikit_posthocs import critical_difference_diagram

    ranks = comparison.ranks
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the reader's own settings are
        mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none"})
        figure = Figure((_WIDTH, 1 + _LINE * len(comparison.names)))
        axes = figure.add_subplot()
        # Numbers in place of names: bars are sets, and sets of names have another order each time.
        drawn = critical_difference_diagram(
            dict(enumerate(ranks.mean.tolist())),
            pd.DataFrame(ranks.p),
            alpha=ALPHA,
            ax=axes,
            label_fmt_left="{label}",
            label_fmt_right="{label}",
            label_props={"parse_math": False},
        )
        for text in drawn["labels"]:
            number_of_row = int(text.get_text())
            name, rank = comparison.names[number_of_row], ranks.mean[number_of_row]
            text.set_text(f"{name} ({rank:.2f})")
        file = io.BytesIO()
        FigureCanvasSVG(figure).print_figure(
            file, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": "bench"}
        )
    return file.getvalue().decode()
