"""Writes a paper's tables: its own layout, published beside measured, claims, margins, curves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.data.files import write_text
from bench.papers import sheet
from bench.papers.claim_sheet import claim_table
from bench.papers.claims import Verdict
from bench.papers.margins import Margin, margins
from bench.papers.measured import Measured, Overrides
from bench.papers.methods import HUMAN, params_of
from bench.papers.pairs import pairs_table
from bench.papers.probe import criteria_probe
from bench.papers.reading import epochs
from bench.papers.reproduction import Reproduction
from bench.papers.spec import Paper, PaperTable
from bench.plugins import Registry
from bench.publish import latex, markdown
from bench.publish.corrections import Pair
from bench.publish.frames import csv_text, frame_of
from bench.publish.layout import Table

REPRODUCTION = "reproduction.csv"
ABOUT = "about.json"

_REPRODUCTION_COLUMNS = (
    *("table", "block", "row", "column", "metric", "true", "predicted", "fold", "run"),
    "convention",
    *("dataset", "target", "protocol", "target_protocol", "selection", "budget", "seeds"),
    *("published_id", "published", "unit", "measured", "spread", "n_seeds", "n_folds", "n_test"),
    *("difference", "verdict", "why", "beside", "used", "used_protocol", "stand_ins", "synthetic"),
    *("fingerprint", "half_panels"),
)
_MARGIN_COLUMNS = (
    *("table", "part", "dataset", "metric", "pick", "against", "best", "second", "best_id"),
    *("second_id", "margin", "n", "units", "standard_error", "at_most", "ratio", "images", "why"),
)
_CLAIM_COLUMNS = (
    *("claim", "says", "verdict", "why", "question", "on", "published_left", "published_right"),
)
_COMPARISON_COLUMNS = (
    *("claim", "left", "right", "dataset", "metric", "counted", "difference", "low", "high", "p"),
    *("smallest", "n", "question", "verdict", "why", "conventions", "tie_neutral", "on"),
)
_PAIR_COLUMNS = ("table", "split", "seed", "corrected", "broken", "p", "n")
_CURVE_COLUMNS = ("table", "row", "column", "seed", "split", "epoch", "value")


@dataclass(frozen=True)
class PaperResults:
    """What is measured of one paper.

    Attributes
    ----------
    reproductions : sequence of Reproduction
        Of the tables that are wanted.
    pairs : mapping of str to sequence of Pair
        By the name of the table.
    hanging : mapping of str to sequence of str
        By the name of the table, what in it hangs on the convention of the criteria.
    """

    paper: Paper
    reproductions: Sequence[Reproduction]
    verdicts: Sequence[Verdict]
    pairs: Mapping[str, Sequence[Pair]]
    hanging: Mapping[str, Sequence[str]]

    @property
    def by_table(self) -> list[tuple[PaperTable, list[Reproduction]]]:
        """The tables, each with its own."""
        tables = {result.table.name: result.table for result in self.reproductions}
        return [
            (table, [result for result in self.reproductions if result.table.name == name])
            for name, table in tables.items()
        ]


def write(results: PaperResults, registry: Registry, overrides: Overrides, out: Path) -> list[Path]:
    """Write everything about one paper into ``out/<paper>/``; returns the files."""
    texts: dict[str, str] = {}
    gained: list[Margin] = []
    for table, of_table in results.by_table:
        gains = _gains(results.paper, table, of_table)
        sheets = _sheets(results, table, of_table, gains)
        texts[f"{table.slug}.tex"] = latex.render(sheets)
        texts[f"{table.slug}.md"] = markdown.render(sheets)
        gained += gains
    claimed = claim_table(results.paper, results.verdicts)
    if claimed is not None:
        texts["claims.tex"] = latex.render([claimed])
        texts["claims.md"] = markdown.render([claimed])
    convention = overrides.convention or results.paper.convention
    frames = _frames(results, gained, convention)
    texts |= {name: csv_text(frame) for name, frame in frames.items()}
    about = _about(results, registry, overrides)
    texts[ABOUT] = json.dumps(about, indent=1) + "\n"
    folder = out / results.paper.id
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _frames(
    results: PaperResults, gains: Sequence[Margin], convention: str
) -> dict[str, pd.DataFrame]:
    """The CSV files, by name; without those that have nothing to say."""
    reproduced = results.reproductions
    lines = (_reproduction(result, convention) for result in reproduced)
    frames = {REPRODUCTION: frame_of(lines, _REPRODUCTION_COLUMNS)}
    curves = frame_of((row for result in reproduced for row in _curve(result)), _CURVE_COLUMNS)
    pairs = frame_of(_pairs(results.pairs), _PAIR_COLUMNS)
    printed = frame_of(map(_margin, gains), _MARGIN_COLUMNS)
    optional = {"curves.csv": curves, "margins.csv": printed, "pairs.csv": pairs}
    frames |= {name: frame for name, frame in optional.items() if len(frame)}
    if results.verdicts:
        frames["claims.csv"] = frame_of(map(_claim, results.verdicts), _CLAIM_COLUMNS)
        compared = (row for verdict in results.verdicts for row in _comparisons(verdict))
        frames["comparisons.csv"] = frame_of(compared, _COMPARISON_COLUMNS)
    return frames


def _gains(paper: Paper, table: PaperTable, of_table: Sequence[Reproduction]) -> list[Margin]:
    """The margins of the printed table."""
    every = margins(paper.id, None, _deviation(of_table))
    return [margin for margin in every if margin.table.lower() == table.name.lower()]


def _sheets(
    results: PaperResults,
    table: PaperTable,
    of_table: Sequence[Reproduction],
    gains: Sequence[Margin],
) -> list[Table]:
    """What stands in the files of a table, from top to bottom."""
    paper = results.paper
    sheets: list[Table | None] = [
        sheet.in_own_layout(paper, table, of_table, results.hanging.get(table.name, ())),
        sheet.beside(paper, table, of_table),
        sheet.gains(paper, table, gains),
    ]
    if table.name in results.pairs:
        pairs = results.pairs[table.name]
        sheets.append(pairs_table(paper, table, pairs, sheet.conditions(of_table)))
    return [shown for shown in sheets if shown is not None]


def _deviation(of_table: Sequence[Reproduction]) -> dict[str, float]:
    """By criterion, how much one image's contribution varies: the median over measured methods.

    From the resampled test images of real faces; without criteria that do not vary.
    """
    deviations: dict[str, list[float]] = {}
    for result in of_table:
        row = result.measured.row
        if row is None or not row.ok or result.measured.synthetic:
            continue
        estimate = row.estimate(result.entry.metric)
        if estimate is not None and estimate.replicates is not None:
            deviation = float(np.std(estimate.replicates)) * math.sqrt(row.ok[0].cell.n_test)
            deviations.setdefault(result.entry.metric, []).append(deviation)
    medians = {name: float(np.median(values)) for name, values in deviations.items()}
    return {name: median for name, median in medians.items() if median > 0}


# -- rows of the files ----------------------------------------------------------------------------


def _about(results: PaperResults, registry: Registry, overrides: Overrides) -> dict[str, Any]:
    runs = sorted({result.entry.run for result in results.reproductions} - {"", HUMAN})
    return {
        "paper": results.paper.id,
        "budget": overrides.budget,
        "seeds": overrides.seeds,
        "convention": overrides.convention,
        "criteria": criteria_probe(),
        "parameters": {run: params_of(registry, run) for run in runs},
    }


def _reproduction(result: Reproduction, convention: str) -> dict[str, Any]:
    entry, number, measured = result.entry, result.published, result.measured
    return {
        "table": result.table.name,
        "block": result.row.block,
        "row": result.row.label,
        "column": result.column.title,
        "metric": entry.metric,
        "true": entry.true,
        "predicted": entry.predicted,
        "fold": entry.fold or None,
        "run": entry.run,
        "convention": convention,
        **asdict(result.conditions),
        "published_id": number.id if number else None,
        "published": number.printed if number else None,
        "unit": number.unit if number else None,
        "measured": measured.value,
        "spread": measured.sd,
        "difference": result.difference,
        "verdict": result.verdict,
        "why": result.why,
        "beside": result.beside,
        "used": " ".join(measured.used),
        "stand_ins": "; ".join(measured.stand_ins),
        **_cells_behind(measured, entry.metric),
    }


def _cells_behind(measured: Measured, metric: str) -> dict[str, Any]:
    """How many cells a value is made of, on which data, and what it is on the truth of people."""
    row = measured.row
    if row is None:
        return {}
    behind = {
        "n_test": sum({r.cell.split_hash: r.cell.n_test for r in row.ok}.values()),
        "used_protocol": str(row.cell.protocol),
        "fingerprint": row.cell.fingerprint,
        "half_panels": row.half_panels(metric),
    }
    if measured.value is not None:
        behind |= {"n_seeds": len(row.seeds), "n_folds": len(row.splits)}
        behind |= {"synthetic": measured.synthetic}
    return behind


def _curve(result: Reproduction) -> Iterable[dict[str, Any]]:
    kind, _, column = result.entry.metric.partition(":")
    if kind != "curve" or result.measured.row is None:
        return
    for record in result.measured.row.ok:
        for epoch, value in enumerate(epochs(record, column), 1):
            yield {
                "table": result.table.name,
                "row": result.row.label,
                "column": result.column.title,
                "seed": record.cell.seed,
                "split": record.cell.split,
                "epoch": epoch,
                "value": value,
            }


def _pairs(pairs: Mapping[str, Sequence[Pair]]) -> Iterable[dict[str, Any]]:
    for name, of_table in pairs.items():
        for pair in of_table:
            yield {"table": name, **vars(pair)}


def _margin(margin: Margin) -> dict[str, Any]:
    return {**vars(margin), "standard_error": margin.se}


def _claim(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.claim.id,
        "says": verdict.claim.claim,
        "verdict": verdict.verdict,
        "why": verdict.why,
        "question": verdict.question,
        "on": verdict.on,
        "published_left": "; ".join(verdict.claim.published_left),
        "published_right": "; ".join(verdict.claim.published_right),
    }


def _comparisons(verdict: Verdict) -> Iterable[dict[str, Any]]:
    for comparison in verdict.comparisons:
        yield {**vars(comparison), "claim": verdict.claim.id, "on": verdict.on}
