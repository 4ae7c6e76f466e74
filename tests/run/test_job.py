"""Keys, protocols, and records of the schema before."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from records import record

from bench.api import BenchError
from bench.publish.criteria_tables import tables_of
from bench.publish.rows import newest, rows_of
from bench.run.job import Protocol, key_of
from bench.run.record import Record


def test_a_key_follows_from_names_and_values_alone() -> None:
    key = key_of(split="a", seed=0)
    assert key == key_of(seed=0, split="a")
    others = [key_of(split="a", seed=1), key_of(split="0", seed="a"), key_of(split="a")]
    assert len({key, *others}) == 4
    assert len(key) == 32


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        (Protocol("official"), "official"),
        (Protocol("cv5", inner="holdout-80-20"), "cv5, inner holdout-80-20"),
        (Protocol("cross", "a, b", "cv5-subject"), "cross from a, b, cv5-subject"),
        (Protocol("cross", "a", "cv5", "cv3"), "cross from a, cv5, inner cv3"),
    ],
)
def test_a_protocol_is_written_and_an_older_record_of_it_is_read(
    protocol: Protocol, text: str
) -> None:
    assert str(protocol) == text
    values = asdict(record(test=1))
    values["cell"]["protocol"] = text
    older = Record.from_json(json.dumps({**values, "schema": 1}), Path("r.json"))
    assert older.cell.protocol == protocol
    assert Record.from_json(older.to_json(), Path("r.json")) == older


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 99}, "another version of bench"),
        ({"status": 3}, r"Expected `str`, got `int` - at `\$.status`"),
        ({"surprise": 1}, r"unknown field `surprise` - at `\$`"),
        ({"cell": {}}, "not a record of bench"),
        ({"criteria": {"coverage": "low"}}, r"\$.criteria"),
    ],
)
def test_a_damaged_record_names_its_file_and_the_place(
    change: dict[str, object], words: str
) -> None:
    text = json.dumps({**asdict(record()), **change})
    with pytest.raises(BenchError, match=rf"^r\.json: .*{words}"):
        Record.from_json(text, Path("r.json"))


def test_no_number_is_read_that_is_none() -> None:
    text = record().to_json().replace('"coverage": ', '"coverage": NaN, "x": ')
    with pytest.raises(BenchError, match="not a record"):
        Record.from_json(text, Path("r.json"))


def older(**cell: object) -> Record:
    """A record as versions before stratified folds wrote it."""
    values = json.loads(json.dumps(asdict(record(test=1))))
    values["cell"].update(cell)
    return Record.from_json(json.dumps(values), Path("r.json"))


@pytest.mark.parametrize("name", ["cv5", "cv10"])
def test_unstratified_folds_of_an_older_record_are_not_shown_as_stratified(name: str) -> None:
    old = older(kind="multi", protocol={"name": name})
    new = replace(old.cell, protocol=Protocol(name, folds="stratified"))
    assert str(old.cell.protocol) == f"{name} (unstratified)"
    assert str(new.protocol) == name
    assert old.cell.protocol.inner is None
    # Nor are the two one row of a table.
    both = [old, replace(old, key="1" * 32, cell=new)]
    assert len(newest(both).kept) == 2
    assert len(rows_of(both)) == 2
    captions = [table.caption for table in tables_of(both, "both")]
    assert f"protocol {name} (folds stratified by labels), n train" in captions[1]
    assert f"protocol {name} (unstratified), n train" in captions[0]
    again = Record.from_json(old.to_json(), Path("r.json"))
    assert str(again.cell.protocol) == f"{name} (unstratified)"


@pytest.mark.parametrize(
    "cell",
    [
        {"kind": "single", "protocol": {"name": "cv5"}},
        {"kind": "multi", "protocol": {"name": "cv5-subject"}},
        {"kind": "multi", "protocol": {"name": "official"}},
        {"kind": "multi", "protocol": {"name": "cross", "source": "a", "target": "cv5-subject"}},
    ],
)
def test_other_older_records_are_shown_as_before(cell: dict[str, object]) -> None:
    assert older(**cell).cell.protocol.folds == ""
