"""The rows and claims of results/published/ as they are read, and what is said of damaged ones."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import get_args

import pytest
from printed import find, forget
from shared import needs_published, path

from bench.api import BenchError
from bench.papers import files
from bench.papers.published import Kind, by_id, claims, numbers

PAPERS = files.papers()

# -- the rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paper", "wanted"),
    [
        ("mf-jle", (67, 2, 11, 44, 13, 6)),
        ("dbm-cnn", (572, 21, 60, 62, 3, 8)),
        ("lban-il", (190, 20, 19, 34, 5, 8)),
        ("multi-dataset", (157, 6, 16, 21, 0, 6)),
        ("tfe-jl", (196, 4, 18, 24, 6, 6)),
    ],
)
def test_rows_of_each_kind(paper: str, wanted: tuple[int, ...]) -> None:
    found = Counter(one.kind for one in numbers(paper))
    assert tuple(found[kind] for kind in get_args(Kind)) == wanted


def test_ids_count_the_rows_and_keys_are_unique() -> None:
    for paper in PAPERS:
        rows = numbers(paper)
        assert [one.id for one in rows] == [f"{paper}:{at:04}" for at in range(1, len(rows) + 1)]
        assert {one.paper for one in rows} == {paper}
        keys = Counter(
            (one.table, one.part, one.dataset, one.method, one.variant, one.metric) for one in rows
        )
        assert [key for key, count in keys.items() if count > 1] == []


def test_only_lost_values_are_missing() -> None:
    for one in itertools.chain.from_iterable(map(numbers, PAPERS)):
        assert (one.printed == "") == (one.kind == "lost")
        if one.kind == "result":
            assert one.value is not None
        assert one.comparable == (one.why_not == "")


def test_a_reason_why_a_row_is_not_comparable_ends_its_notes() -> None:
    for one in itertools.chain.from_iterable(map(numbers, PAPERS)):
        assert one.notes.partition("not comparable: ")[2] == one.why_not, one.id


@needs_published
@pytest.mark.parametrize(
    ("facts", "names"),
    [("published.csv", tuple(f"{paper}.csv" for paper in PAPERS)), ("claims.csv", ("claims.csv",))],
)
def test_every_column_of_the_source_is_here_unchanged(facts: str, names: tuple[str, ...]) -> None:
    ours = {
        row["id"]: row for name in names for row in csv.DictReader(io.StringIO(files.text(name)))
    }
    with path(f"facts/{facts}").open(newline="", encoding="utf-8") as file:
        source = {row["id"]: row for row in csv.DictReader(file)}
    assert ours.keys() == source.keys()
    for name, row in source.items():
        assert {column: ours[name][column] for column in row} == row


def test_classes_of_a_test_part_add_up() -> None:
    for protocol in files.protocols().values():
        if protocol.classes:
            assert sum(protocol.classes.values()) == protocol.test, protocol.name


def test_percentages_become_fractions_and_rounding_follows_the_print() -> None:
    one = by_id("tfe-jl")["tfe-jl:0031"]
    assert (one.printed, one.decimals) == ("83.852", 3)
    assert one.fraction == pytest.approx(0.83852)
    assert one.rounding == pytest.approx(0.000005)
    two = by_id("mf-jle")["mf-jle:0029"]
    assert (two.fraction, two.decimals) == (2.54, 3)  # printed 2.540
    assert two.rounding == pytest.approx(0.0005)


def test_a_table_copied_from_another_paper_is_equal_cell_by_cell() -> None:
    copied = [one for one in numbers("mf-jle") if one.origin == "copied"]
    assert len(copied) == 45
    for one in copied:
        source = find("dbm-cnn", "Table 3", one.method, one.variant, one.metric, part="(e) LIFT")
        assert (source.printed, source.protocol) == (one.printed, one.protocol)


# -- the claims ----------------------------------------------------------------------------------


def test_claims_have_known_directions_and_unique_ids() -> None:
    directions = {"left better", "left worse", "equal", "left higher", "rises", "rises-then-falls"}
    assert len(claims()) == 80
    assert len({claim.id for claim in claims()}) == 80
    for claim in claims():
        assert claim.direction in directions
        assert claim.paper in PAPERS
        assert claim.id.startswith(f"{claim.paper}-c")
    assert sum(len(claims(paper)) for paper in PAPERS) == 80


@pytest.mark.parametrize("side", ["left", "right"])
def test_claims_print_what_their_rows_print(side: str) -> None:
    checked = 0
    for claim in claims():
        ids, values = getattr(claim, f"{side}_ids"), getattr(claim, f"published_{side}")
        rows = [by_id(one.partition(":")[0])[one] for one in ids]  # a KeyError: no such row
        assert len(ids) == len(values)
        assert [one.printed for one in rows] == list(values), claim.id
        checked += len(rows)
    assert checked > 200


def test_claims_align_cell_by_cell() -> None:
    across = []
    for claim in claims():
        cells = len(claim.published_left)
        assert len(claim.published_right) in (0, cells), claim.id
        assert len(claim.metrics) == 1 or len(claim.metrics) == cells, claim.id
        if cells == 1 and len(claim.datasets) == 2:  # one dataset on each side
            across.append(claim.id)
        elif cells:
            assert len(claim.datasets) in (1, cells), claim.id
        for side, ids in enumerate((claim.left_ids, claim.right_ids)):
            rows = [by_id(one.partition(":")[0])[one] for one in ids]
            for at, row in enumerate(rows):
                dataset = side if claim.id in across else at % len(claim.datasets)
                if row.kind == "result":
                    assert row.metric == claim.metrics[at % len(claim.metrics)], claim.id
                    if "," not in claim.datasets[dataset] and "mte" not in row.dataset:
                        assert row.dataset == claim.datasets[dataset], claim.id
    assert across == ["tfe-jl-c06", "tfe-jl-c08"]


# -- wrong input ---------------------------------------------------------------------------------

Damage = Callable[[str, Callable[[str], str]], None]


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Damage]:
    """Make a file read as if it had been edited."""
    read = files.text

    def edit(name: str, change: Callable[[str], str]) -> None:
        def text(asked: str) -> str:
            whole = read(asked)
            return change(whole) if asked == name else whole

        monkeypatch.setattr(files, "text", text)
        forget()

    yield edit
    monkeypatch.undo()
    forget()


def line_2(change: Callable[[str], str]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        lines[1] = change(lines[1])
        return "".join(lines)

    return edit


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda row: row.replace(",", "", 1), "mf-jle.csv:2: 15 cells, not 16"),
        (lambda row: row.replace("0.251", "O.251"), "mf-jle.csv:2: value 'O.251' is no number"),
        (lambda row: row.replace("0.251", "nan"), "mf-jle.csv:2: value 'nan' is no number"),
        (
            lambda row: row.replace(",result,", ",resuIt,"),
            "mf-jle.csv:2, kind: 'resuIt': did you mean result?",
        ),
        (
            lambda row: row.replace(",copied,", ",copy,"),
            "mf-jle.csv:2, origin: 'copy': did you mean copied?",
        ),
        (
            lambda row: row.replace(",official-3926/982,", ",official,"),
            "mf-jle.csv:2: protocol 'official': did you mean official-3926/982 or "
            "official-3162/792 or official-28709/3589?",
        ),
        (
            lambda row: row.replace(",yes,", ",no,"),
            "mf-jle.csv:2: comparable=no and a reason in why_not go together",
        ),
    ],
)
def test_a_damaged_row_is_named(damage: Damage, change: Callable[[str], str], wanted: str) -> None:
    damage("mf-jle.csv", line_2(change))
    with pytest.raises(BenchError) as raised:
        numbers("mf-jle")
    assert str(raised.value) == f"results/published/{wanted}"


def test_a_reason_that_bars_a_row_needs_its_column(damage: Damage) -> None:
    damage(
        "mf-jle.csv", line_2(lambda row: row.replace("mf-jle:0001,", "mf-jle:0001,another split"))
    )
    with pytest.raises(BenchError, match="go together"):
        numbers("mf-jle")


def test_an_unknown_direction_of_a_claim_is_named(damage: Damage) -> None:
    damage("claims.csv", line_2(lambda row: row.replace(",left better,", ",left beter,")))
    with pytest.raises(BenchError) as raised:
        claims()
    assert str(raised.value) == (
        "results/published/claims.csv:2, direction: 'left beter': did you mean left better or left "
        "higher or left worse?"
    )


@pytest.mark.parametrize("name", ["mf-jle.csv", "claims.csv"])
def test_other_columns_are_refused(damage: Damage, name: str) -> None:
    damage(name, lambda text: text.replace("paper,", "papers,", 1))
    with pytest.raises(BenchError, match=rf"^results/published/{name}:1: the columns must be pap"):
        claims() if name == "claims.csv" else numbers("mf-jle")
    damage(name, lambda text: "")
    with pytest.raises(BenchError, match=rf"^results/published/{name}:1: the columns must be pap"):
        claims() if name == "claims.csv" else numbers("mf-jle")


def test_an_unknown_paper_lists_near_ones() -> None:
    for ask in (numbers, by_id, claims):
        with pytest.raises(BenchError, match=r"^no paper 'dbmcnn': did you mean dbm-cnn\?$"):
            ask("dbmcnn")


def test_a_missing_file_says_what_to_do() -> None:
    with pytest.raises(BenchError, match=r"nothing\.csv is missing.*install bench again$"):
        files.text("nothing.csv")
