"""Images that one of two methods alone gets right, against loops."""

from __future__ import annotations

import numpy as np
import pytest
from records import Make, predictions
from statsmodels.stats.multitest import multipletests

from bench.publish.corrections import Tally, paired, tallies
from bench.publish.rows import Row, rows_of
from bench.run.record import Record
from bench.run.scoring import Stored
from bench.score.mcnemar import mcnemar

QUALITY = {"lbp": 1.0, "hog": 2.0}


def stored(record: Record) -> Stored:
    cell = record.cell
    test = int(cell.split_hash, 16)
    quality = QUALITY[cell.features or ""]
    return Stored(*predictions(quality, seed=cell.seed, kind=cell.kind, test=test))


def ids(record: Record) -> np.ndarray:
    """Other images on each split."""
    return np.array([f"{record.cell.split_hash}-{i}" for i in range(80)])


def rows(make: Make, kind: str, tests: tuple[int, ...] = (0,)) -> tuple[Row, Row]:
    """One that no seed changes, and one of three seeds."""
    one = [make("lbp", None, 1.0, kind=kind, test=test) for test in tests]
    other = [
        make("hog", None, 2.0, kind=kind, test=test, seed=seed, stochastic=True)
        for test in tests
        for seed in range(3)
    ]
    return rows_of(one)[0], rows_of(other)[0]


def right(record: Record) -> list[bool]:
    truth, scores, labels = stored(record)[:3]
    assert scores is not None
    assert labels is not None
    if record.cell.kind == "single":
        return [int(np.argmax(s)) == int(np.argmax(t)) for s, t in zip(scores, truth, strict=True)]
    return [bool((chosen == row).all()) for chosen, row in zip(labels, truth, strict=True)]


@pytest.mark.parametrize("kind", ["multi", "single"])
def test_every_seed_over_all_splits(make: Make, kind: str) -> None:
    left, other = rows(make, kind, tests=(1, 2))
    (found,), why = tallies(left, other, stored, ids)
    assert why == ""
    assert found.what == ("class" if kind == "single" else "whole label set")
    assert (found.seeds, found.n) == ((0, 1, 2), 160)
    for place, seed in enumerate(found.seeds):
        lefts, rights = [], []
        for record in other.ok:
            if record.cell.seed == seed:
                (same,) = (r for r in left.ok if r.cell.split_hash == record.cell.split_hash)
                lefts += right(same)
                rights += right(record)
        alone = [a and not b for a, b in zip(lefts, rights, strict=True)]
        assert found.left[place] == sum(alone)
        assert found.right[place] == sum(b and not a for a, b in zip(lefts, rights, strict=True))
        assert found.p[place] == mcnemar(np.array(lefts), np.array(rights))[2]
    assert sum(found.right) > sum(found.left) > 0
    (turned,), _ = tallies(other, left, stored, ids)
    assert (turned.left, turned.right, turned.p) == (found.right, found.left, found.p)


def test_each_label_with_holm_over_the_labels(make: Make) -> None:
    left, other = rows(make, "multi")
    found, _ = tallies(left, other, stored, ids, labels=True)
    assert [tally.what for tally in found[1:]] == list(left.cell.label_names)
    truth, _, labels = stored(left.ok[0])[:3]
    assert labels is not None
    single = []
    for i, tally in enumerate(found[1:]):
        theirs = stored(other.ok[0]).labels
        assert theirs is not None
        ours, others = labels[:, i] == truth[:, i], theirs[:, i] == truth[:, i]
        assert tally.left[0] == sum(a and not b for a, b in zip(ours, others, strict=True))
        assert tally.right[0] == sum(b and not a for a, b in zip(ours, others, strict=True))
        assert tally.n == 80
        single.append(mcnemar(ours, others)[2])
    assert [t.p[0] for t in found[1:]] == pytest.approx(multipletests(single, method="holm")[1])


def test_each_class_among_its_own_images(make: Make) -> None:
    left, other = rows(make, "single")
    found, _ = tallies(left, other, stored, ids, labels=True)
    truth = stored(left.ok[0]).truth
    assert [tally.n for tally in found[1:]] == truth.sum(axis=0).tolist()
    assert np.sum([tally.left for tally in found[1:]], axis=0).tolist() == list(found[0].left)


def test_a_pair_for_each_split_and_seed(make: Make) -> None:
    left, other = rows(make, "multi", tests=(1, 2))
    pairs = paired(left, other, stored)
    assert [(p.split, p.seed) for p in pairs] == [
        (f"fold {test}", seed) for test in (1, 2) for seed in (0, 1, 2)
    ]
    (whole,), _ = tallies(left, other, stored, ids)
    assert isinstance(whole, Tally)
    assert sum(p.corrected for p in pairs if p.seed == 1) == whole.right[1]
    assert sum(p.broken for p in pairs if p.seed == 1) == whole.left[1]


def test_what_cannot_be_counted_is_said(make: Make) -> None:
    left, other = rows(make, "multi", tests=(1, 2))

    def reason(scores: object = stored, of: object = ids, right: Row = other) -> str:
        found, why = tallies(left, right, scores, of)  # type: ignore[arg-type]
        assert found == []
        return why

    assert "are not stored here" in reason(lambda record: None)
    assert "gives no label sets" in reason(lambda r: stored(r)._replace(labels=None))
    assert "test parts share images" in reason(of=lambda record: np.array(["one"] * 80))
    assert "some seeds lack a split" in reason(right=Row(other.records[:-1]))
    turned = lambda r: stored(r)._replace(truth=~stored(r).truth) if r.cell.seed else stored(r)  # noqa: E731
    assert "different truths" in reason(turned)
    seeds = rows_of([make("lbp", None, seed=7, stochastic=True, test=1)])[0]
    assert tallies(seeds, other, stored, ids) == ([], "the two rows have no seed in common")
