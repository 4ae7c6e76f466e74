"""F1 and AUC over folds: of all predictions together; repeated folds and their noise."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from runs import records_of
from sklearn.metrics import f1_score, roc_auc_score

from bench.plugins import Registry
from bench.publish import tables
from bench.publish.captions import conditions
from bench.publish.pooling import pooled_alike, pooled_records
from bench.publish.ranking import ranking
from bench.publish.rows import POOLED, PooledRecord, Row, rows_of
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.record import Record
from bench.run.store import Store
from bench.score.criteria import BY_NAME
from bench.score.repeated import repeated_folds

METHODS = "halves+nearest, halves+dice"


def measured(tiny: Path, store: Store, protocol: str, **more: Any) -> list[Record]:
    options = RunOptions("tiny", METHODS, protocol=protocol, **more)
    return records_of(make_plan(Registry([tiny]), options), store)


def together(records: list[Record], store: Store) -> dict[str, float]:
    """By scikit-learn, from the predictions of all these cells."""
    stored = [store.scores(record) for record in records]
    truth = np.concatenate([one.truth for one in stored])
    scores = np.concatenate([one.scores for one in stored])
    labels = np.concatenate([one.labels for one in stored])
    return {
        "micro_f1": f1_score(truth, labels, average="micro"),
        "macro_f1": f1_score(truth, labels, average="macro"),
        "micro_auc": roc_auc_score(truth, scores, average="micro"),
        "macro_auc": roc_auc_score(truth, scores, average="macro"),
    }


def made(records: list[Record], store: Store, out: Path) -> tuple[pd.DataFrame, str]:
    """summary.csv by classifier, and table.md."""
    texts = {
        path.name: path.read_text("utf-8")
        for path in tables.write(records, out, scores_of=store.scores)
    }
    assert len(texts["cells.csv"].splitlines()) == 1 + len(records)
    summary = pd.read_csv(io.StringIO(texts["summary.csv"])).set_index("classifier")
    return summary, texts["table.md"]


def test_pooled_and_averaged_are_in_the_csv_and_the_table_shows_pooled(
    tiny: Path, store: Store, tmp_path: Path
) -> None:
    records = measured(tiny, store, "cv5", seeds=3)
    summary, table = made(records, store, tmp_path / "out")
    for name in ("nearest", "dice"):
        of_seeds = {}
        for record in records:
            if record.cell.classifier == name:
                of_seeds.setdefault(record.cell.seed, []).append(record)
        assert len(of_seeds) == (3 if name == "dice" else 1)
        by_seed = [together(of_seed, store) for of_seed in of_seeds.values()]
        (line,) = (line for line in table.splitlines() if f"*{name}*" in line)
        below = table.splitlines()[table.splitlines().index(line) + 1]
        shown = [float(x) for x in re.findall(r"\|[ *]*(?:<ins>)?(\d\.\d{3})", below)][-4:]
        for column, criterion in zip(shown, POOLED, strict=True):
            pooled = np.mean([one[criterion] for one in by_seed])
            folds = [np.mean([r.criteria[criterion] for r in s]) for s in of_seeds.values()]
            assert summary[f"{criterion}_pooled"][name] == pytest.approx(pooled, abs=1e-12)
            assert summary[f"{criterion}_mean"][name] == pytest.approx(np.mean(folds), abs=1e-12)
            assert abs(pooled - np.mean(folds)) > 1e-6
            assert column == pytest.approx(pooled, abs=0.0006)
            low, high = (summary[f"{criterion}_pooled_{end}"][name] for end in ("low", "high"))
            assert low < pooled < high
    assert "but F1 and AUC of the predictions pooled over the folds." in table


def test_without_stored_scores_a_row_says_that_it_is_averaged(
    tiny: Path, store: Store, tmp_path: Path
) -> None:
    records = measured(tiny, store, "cv3")
    lost = next(record for record in records if record.cell.classifier == "nearest")
    (store.runs / lost.key / "scores.npz").unlink()
    summary, table = made(records, store, tmp_path / "out")
    assert np.isnan(summary["micro_f1_pooled"]["nearest"])
    assert summary["micro_f1_pooled"]["dice"] > 0
    assert "F1 and AUC are means over folds here: not all scores are stored" in table
    rows = rows_of([*records, *pooled_records(records, store.scores)])
    ranked = ranking(rows, BY_NAME["micro_f1"])
    assert not ranked.marks  # one of the two is another quantity
    # Damaged scores are as good as none; nothing is pooled of a part of the folds.
    other = next(r for r in records if r.cell.classifier == "dice")
    (store.runs / other.key / "scores.npz").write_bytes(b"damaged")
    assert pooled_records(records, store.scores) == []
    _, table = made(records, store, tmp_path / "out")
    assert "pooled" not in table


def test_compared_rows_are_pooled_all_or_none(tiny: Path, store: Store) -> None:
    records = measured(tiny, store, "cv3")
    rows = pooled_alike(rows_of(records), store.scores)
    for row in rows:
        pooled = together(list(row.records), store)
        assert row.estimate("micro_auc").mean == pytest.approx(pooled["micro_auc"])
    difference = rows[0].estimate("macro_f1").less(rows[1].estimate("macro_f1"))
    both = [together(list(row.records), store)["macro_f1"] for row in rows]
    assert difference.value == pytest.approx(both[0] - both[1])
    said = "Means over folds, but F1 and AUC of the predictions pooled over the folds."
    assert said in conditions(rows)
    (store.runs / records[0].key / "scores.npz").unlink()
    without = pooled_alike(rows_of(records), store.scores)
    assert [row.pooled for row in without] == [(), ()]
    for row in without:
        assert row.estimate("micro_auc").mean == row.averaged("micro_auc").mean
    assert "Means over folds." in conditions(without)


def test_one_split_has_nothing_to_pool(tiny: Path, store: Store, tmp_path: Path) -> None:
    records = measured(tiny, store, "official")
    assert pooled_records(records, store.scores) == []
    summary, table = made(records, store, tmp_path / "out")
    assert summary["micro_f1_pooled"].isna().all()
    assert "pooled" not in table


def test_a_rare_label_is_judged_by_all_folds_together(tiny: Path, store: Store) -> None:
    """Folds without a positive count as 0 in the mean, and not at all in the whole."""
    records = measured(tiny, store, "cv5")
    folds = [record for record in records if record.cell.classifier == "nearest"]
    truth = np.zeros((60, 2), bool)
    truth[:3, 0] = True
    truth[:, 1] = True
    predicted = truth.copy()
    predicted[3, 0] = True
    parts = {
        record.key: store.scores(record)._replace(
            truth=truth[i::5], labels=predicted[i::5], scores=predicted[i::5].astype(float)
        )
        for i, record in enumerate(folds)
    }
    (pooled,) = pooled_records(folds, lambda record: parts[record.key])
    assert pooled.criteria["macro_f1"] == pytest.approx((2 * 3 / 7 + 1) / 2)
    means = [
        f1_score(one.truth, one.labels, average=None, zero_division=0) for one in parts.values()
    ]
    assert np.mean(means, axis=0)[0] == pytest.approx(3 / 5)


def test_repeated_folds_have_the_noise_of_the_corrected_t_test(
    tiny: Path, store: Store, tmp_path: Path
) -> None:
    records = measured(tiny, store, "cv4x3")
    assert len(records) == 2 * 12
    pooled = pooled_records(records, store.scores)
    assert len(pooled) == 2 * 4
    assert all(isinstance(record, PooledRecord) for record in pooled)
    by_name = {row.cell.classifier: row for row in rows_of([*records, *pooled])}
    assert {len(row.records) for row in by_name.values()} == {12}
    assert {row.repetitions for row in by_name.values()} == {4}

    def folds(name: str, criterion: str) -> np.ndarray:
        found = [r for r in records if r.cell.classifier == name]
        return np.array([r.criteria[criterion] for r in sorted(found, key=lambda r: r.cell.split)])

    for criterion in ("average_precision", "hamming_loss"):
        for name, row in by_name.items():
            wanted = repeated_folds(folds(name, criterion), 20 / 40)
            estimate = row.estimate(criterion)
            assert estimate.mean == pytest.approx(wanted.value)
            assert estimate.noise.df == 11
            assert estimate.noise.se == pytest.approx(wanted.se, rel=0.06)  # 1,000 draws
        nearest, dice = (by_name[name].estimate(criterion) for name in ("nearest", "dice"))
        gaps = folds("nearest", criterion) - folds("dice", criterion)
        wanted = repeated_folds(gaps, 20 / 40)
        found = nearest.less(dice)
        assert found.value == pytest.approx(wanted.value)
        assert found.se == pytest.approx(wanted.se, rel=0.06)

    # A pooled value is the mean over repetitions, with the noise of the mean over folds.
    row = by_name["nearest"]
    by_repetition = {}
    for record in row.records:
        by_repetition.setdefault(record.cell.split.split("-")[0], []).append(record)
    values = [together(of_one, store)["macro_f1"] for of_one in by_repetition.values()]
    assert len(values) == 4
    estimate, averaged = row.estimate("macro_f1"), row.averaged("macro_f1")
    assert estimate.mean == pytest.approx(np.mean(values))
    assert estimate.noise.se == pytest.approx(averaged.noise.se)
    assert estimate.noise.value == pytest.approx(estimate.mean)
    low, high = estimate.interval
    assert low < estimate.mean < high
    summary, table = made(records, store, tmp_path / "out")
    assert "pooled over the folds of each repetition" in table
    assert (summary["resampled"]["nearest"], summary["clusters"]["nearest"]) == ("splits", 12)


def test_labels_are_rare_by_their_images_however_often_these_are_tested(
    tiny: Path, store: Store
) -> None:
    (once,) = (r for r in rows_of(measured(tiny, store, "cv3")) if r.cell.classifier == "nearest")
    again = Row(tuple(r for r in measured(tiny, store, "cv4x3") if r.cell.classifier == "nearest"))
    totals = [np.sum([r.positives for r in row.records], axis=0) for row in (once, again)]
    np.testing.assert_array_equal(4 * totals[0], totals[1])
    assert once.rare_labels == again.rare_labels
