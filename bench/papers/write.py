"""Writes a paper's tables: its own layout, published beside measured, claims, margins, curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.files import write_text
from bench.papers import sheet
from bench.papers.claims import Verdict
from bench.papers.margins import Margin, margins
from bench.papers.measured import HUMAN, Setting, params_of
from bench.papers.pairs import Pair, in_rows
from bench.papers.probe import criteria_probe
from bench.papers.reading import epochs
from bench.papers.reproduction import Outcome
from bench.papers.spec import Paper
from bench.plugins import Registry
from bench.publish import latex, markdown
from bench.publish.frames import csv_text, frame_of

REPRODUCTION = "reproduction.csv"
ABOUT = "about.json"

_OUTCOME_COLUMNS = (
    *("table", "block", "row", "column", "metric", "true", "predicted", "fold", "run"),
    *("dataset", "target", "protocol", "target_protocol", "selection", "budget", "seeds"),
    *("published_id", "published", "unit", "measured", "spread", "n_seeds", "n_folds", "n_test"),
    *("difference", "verdict", "why", "beside", "used", "used_protocol", "stand_ins", "synthetic"),
    "fingerprint",
)
_MARGIN_COLUMNS = (
    *("table", "part", "dataset", "metric", "pick", "against", "best", "second", "best_id"),
    *("second_id", "margin", "n", "units", "standard_error", "at_most", "ratio", "images", "why"),
)
_CLAIM_COLUMNS = ("claim", "says", "verdict", "why", "on", "published_left", "published_right")
_COMPARISON_COLUMNS = (
    *("claim", "left", "right", "dataset", "metric", "difference", "low", "high", "n", "verdict"),
    "on",
)
_PAIR_COLUMNS = ("table", "split", "seed", "corrected", "broken", "p", "n")
_CURVE_COLUMNS = ("table", "row", "column", "seed", "split", "epoch", "value")


@dataclass(frozen=True)
class Findings:
    """What was found about one paper.

    Attributes
    ----------
    outcomes : sequence of Outcome
        Of the tables that are wanted.
    pairs : mapping of str to sequence of Pair
        By the name of the table.
    """

    paper: Paper
    outcomes: Sequence[Outcome]
    verdicts: Sequence[Verdict]
    pairs: Mapping[str, Sequence[Pair]]


def write(findings: Findings, registry: Registry, setting: Setting, out: Path) -> list[Path]:
    """Write everything about one paper into ``out/<paper>/``; returns the files."""
    paper, found, verdicts = findings.paper, findings.outcomes, findings.verdicts
    texts: dict[str, str] = {}
    gains: list[Margin] = []
    tables = list({id(one.table): one.table for one in found}.values())
    for table in tables:
        of_table = [one for one in found if one.table is table]
        shown = [sheet.in_own_layout(paper, table, of_table)]
        beside = sheet.beside(paper, table, of_table)
        every = margins(paper.id, None, _deviation(of_table))
        gained = [one for one in every if one.table.lower() == table.name.lower()]
        noise = sheet.gains(paper, table, gained)
        shown += [one for one in (beside, noise) if one is not None]
        gains += gained
        if table.name in findings.pairs:
            data = sheet.conditions(of_table)
            shown.append(in_rows(paper, table, findings.pairs[table.name], data))
        texts[f"{table.slug}.tex"] = latex.render(shown)
        texts[f"{table.slug}.md"] = markdown.render(shown)
    texts[REPRODUCTION] = csv_text(frame_of(map(_outcome, found), _OUTCOME_COLUMNS))
    curves = [row for one in found for row in _curve(one)]
    if curves:
        texts["curves.csv"] = csv_text(frame_of(curves, _CURVE_COLUMNS))
    if gains:
        texts["margins.csv"] = csv_text(frame_of(map(_margin, gains), _MARGIN_COLUMNS))
    compared_images = [
        {"table": name, **vars(pair)} for name, pairs in findings.pairs.items() for pair in pairs
    ]
    if compared_images:
        texts["pairs.csv"] = csv_text(frame_of(compared_images, _PAIR_COLUMNS))
    if verdicts:
        texts["claims.csv"] = csv_text(frame_of(map(_claim, verdicts), _CLAIM_COLUMNS))
        compared = [row for verdict in verdicts for row in _comparisons(verdict)]
        texts["comparisons.csv"] = csv_text(frame_of(compared, _COMPARISON_COLUMNS))
    texts[ABOUT] = json.dumps(_about(paper, found, registry, setting), indent=1) + "\n"
    folder = out / paper.id
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _deviation(found: Sequence[Outcome]) -> dict[str, float]:
    """By criterion, how much one image's contribution varies: the median over measured methods.

    From the resampled test images of real faces; without criteria that do not vary.
    """
    each: dict[str, list[float]] = {}
    for one in found:
        row = one.measured.row
        if row is None or not row.ok or one.measured.synthetic:
            continue
        estimate = row.estimate(one.entry.metric)
        if estimate is not None and estimate.replicates is not None:
            deviation = float(np.std(estimate.replicates)) * math.sqrt(row.ok[0].cell.n_test)
            each.setdefault(one.entry.metric, []).append(deviation)
    return {
        name: float(np.median(values)) for name, values in each.items() if np.median(values) > 0
    }


def _about(
    paper: Paper, found: Sequence[Outcome], registry: Registry, setting: Setting
) -> dict[str, Any]:
    runs = sorted({one.entry.run for one in found} - {"", HUMAN})
    return {
        "paper": paper.id,
        "budget": setting.budget,
        "seeds": setting.seeds,
        "criteria": criteria_probe(),
        "parameters": {run: params_of(registry, run) for run in runs},
    }


def _outcome(one: Outcome) -> dict[str, Any]:
    entry, where, number, measured = one.entry, one.where, one.published, one.measured
    row = measured.row
    result = row is not None and measured.value is not None
    return {
        "table": one.table.name,
        "block": one.line.block,
        "row": one.line.label,
        "column": one.column,
        "metric": entry.metric,
        "true": entry.true,
        "predicted": entry.predicted,
        "fold": entry.fold or None,
        "run": entry.run,
        "dataset": where.dataset,
        "target": where.target,
        "protocol": where.protocol,
        "target_protocol": where.target_protocol,
        "selection": where.selection,
        "budget": where.budget,
        "seeds": where.seeds,
        "published_id": number.id if number else None,
        "published": number.printed if number else None,
        "unit": number.unit if number else None,
        "measured": measured.value,
        "spread": measured.sd,
        "n_seeds": len(row.seeds) if row and result else None,
        "n_folds": len(row.splits) if row and result else None,
        "n_test": sum({r.cell.split_hash: r.cell.n_test for r in row.ok}.values()) if row else None,
        "difference": one.difference,
        "verdict": one.verdict,
        "why": one.why,
        "beside": one.beside,
        "used": " ".join(measured.used),
        "used_protocol": str(row.cell.protocol) if row else None,
        "stand_ins": "; ".join(measured.stand_ins),
        "synthetic": measured.synthetic if result else None,
        "fingerprint": row.cell.fingerprint if row else None,
    }


def _curve(one: Outcome) -> list[dict[str, Any]]:
    kind, _, column = one.entry.metric.partition(":")
    if kind != "curve" or one.measured.row is None:
        return []
    return [
        {
            "table": one.table.name,
            "row": one.line.label,
            "column": one.column,
            "seed": record.cell.seed,
            "split": record.cell.split,
            "epoch": epoch,
            "value": value,
        }
        for record in one.measured.row.ok
        for epoch, value in enumerate(epochs(record, column), 1)
    ]


def _margin(one: Margin) -> dict[str, Any]:
    return {**vars(one), "standard_error": one.se}


def _claim(one: Verdict) -> dict[str, Any]:
    return {
        "claim": one.claim.id,
        "says": one.claim.claim,
        "verdict": one.verdict,
        "why": one.why,
        "on": one.on,
        "published_left": "; ".join(one.claim.published_left),
        "published_right": "; ".join(one.claim.published_right),
    }


def _comparisons(one: Verdict) -> list[dict[str, Any]]:
    names = ("left", "right", "dataset", "metric", "difference", "low", "high", "n", "verdict")
    return [
        {"claim": one.claim.id, **{name: getattr(each, name) for name in names}, "on": one.on}
        for each in one.comparisons
    ]
