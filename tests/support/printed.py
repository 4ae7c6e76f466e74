"""Finds printed numbers by what they are of, for tests that set them against one another."""

from __future__ import annotations

from bench.papers import files, published, spec
from bench.papers.published import Number, numbers


def find(
    paper: str,
    table: str,
    method: str,
    variant: str,
    metric: str,
    part: str | None = None,
    dataset: str | None = None,
) -> Number:
    """The one row that these name; ``part`` and ``dataset`` where the others do not suffice."""
    wanted = (table, method, variant, metric)
    (row,) = (
        row
        for row in numbers(paper)
        if (row.table, row.method, row.variant, row.metric) == wanted
        and part in (None, row.part)
        and dataset in (None, row.dataset)
    )
    return row


def forget() -> None:
    """Let the files of `results/published/` be read anew."""
    for cached in (spec.load, files.datasets, published.numbers, published.claims, published.by_id):
        cached.cache_clear()
