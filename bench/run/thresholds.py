"""One threshold by one rule for every method: which images it is fitted on, and what comes of it.

Rules for label sets differ between methods and move the criteria of label sets more than methods
do. Under a common rule a threshold is fitted on the validation part or, where there is none, on
what the same method says of the inner folds of the training part (R. Al-Otaibi, P. Flach and
M. Kull, Multi-label classification: a comparative study on threshold selection methods, 2014). No
test image takes part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.api import BenchError, UnavailableError
from bench.run.job import Job, ThresholdFit, key_of
from bench.run.store import Store
from bench.score.thresholds import fitted_threshold


def with_threshold(job: Job, rule: str, inner: Sequence[Job]) -> Job:
    """The job with its label sets by a common rule; its key says by which, and fitted on what.

    Parameters
    ----------
    inner : sequence of Job
        The same method on the inner folds; empty where the threshold is fitted on the validation
        part.
    """
    fit = ThresholdFit(rule, tuple(one.key for one in inner))
    fitted_on = f"inner {inner[0].cell.protocol.inner}" if inner else "valid"
    cell = replace(job.cell, threshold=rule, fitted_on=fitted_on)
    return replace(
        job, key=key_of(cell=job.key, threshold=rule, inner=fit.inner), cell=cell, fit=fit
    )


def pooled_inner(fit: ThresholdFit, store: Store) -> tuple[np.ndarray, np.ndarray]:
    """Truth bool (n, L) and scores float (n, L) of the inner folds, one below the other.

    Parameters
    ----------
    store : Store
        The folder that the outer cell is kept in.

    Raises
    ------
    UnavailableError, BenchError
        An inner cell was skipped, or has no scores.
    """
    truths, scores = [], []
    for key in fit.inner:
        record = store.tuning.read(key)
        if record is None:
            raise BenchError(f"{store.tuning.runs / key} is gone: run the same command again")
        if record.status != "ok":
            kind = UnavailableError if record.status == "skipped" else BenchError
            raise kind(
                f"no threshold by --threshold {fit.rule}: {record.cell.split} has no result "
                f"({record.reason})"
            )
        stored = store.tuning.scores(record)
        if stored is None or stored.scores is None:
            raise BenchError(
                f"--threshold {fit.rule} needs scores, and there are none of {record.cell.split}"
            )
        truths.append(stored.truth)
        scores.append(stored.scores)
    return np.concatenate(truths), np.concatenate(scores)


def cut(
    job: Job, truth: np.ndarray, scores: np.ndarray, train: np.ndarray, tested: np.ndarray | None
) -> tuple[np.ndarray, str]:
    """Label sets of the test part, and in words how they were made.

    Parameters
    ----------
    truth, scores : bool and float (n, L)
        Of the images that the threshold is fitted on.
    train : bool (n_train, L)
        Labels of the training part.
    tested : float (n_test, L) or None
        What the method says of the test part.

    Raises
    ------
    BenchError
        The method gives no scores.
    """
    assert job.fit is not None
    rule = job.fit.rule
    if tested is None:
        raise BenchError(f"--threshold {rule} needs scores, and {job.label} gives labels alone")
    cardinality = float(train.sum(axis=1).mean())
    threshold = fitted_threshold(rule, truth, scores, cardinality)
    where = "the validation part" if job.cell.fitted_on == "valid" else job.cell.fitted_on
    words = f"threshold {threshold:.6g} ({rule}, fitted on {len(truth):,} images of {where})"
    return tested >= threshold, words
