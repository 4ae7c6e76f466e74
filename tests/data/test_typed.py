"""What is wrong in a TOML file is one sentence with its place."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from bench.api import BenchError
from bench.data.typed import checked, parse_toml


class Wheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: str
    spokes: int = 32
    size: Literal["small", "large"] = "large"
    tags: str | tuple[str, ...] = ""


class Bicycle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    wheels: tuple[Wheel, ...] = ()
    parts: dict[str, Wheel] = {}


def test_a_file_becomes_an_object() -> None:
    read = parse_toml('name = "b"\nwheels = [{ label = "front", tags = ["x"] }]', Bicycle, "f.toml")
    assert read == Bicycle("b", (Wheel("front", tags=("x",)),))
    assert checked({"name": "b"}, Bicycle, "f.toml") == Bicycle("b")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("name =", "f.toml is no TOML: Invalid value (at end of document)"),
        ("", "f.toml: name is missing"),
        ("name = 1", "f.toml, name: expected `str`, got `int`: 1"),
        ('nam = "b"', "f.toml: unknown key 'nam': did you mean name?"),
        ('name = "b"\nwheels = 1', "f.toml, wheels: expected `array`, got `int`: 1"),
        ('name = "b"\nwheels = [{}]', "f.toml, wheels[0]: label is missing"),
        (
            'name = "b"\nwheels = [{ label = "front" }, { label = "rear", spoke = 3 }]',
            "f.toml, wheels[1] (rear): unknown key 'spoke': did you mean spokes?",
        ),
        (
            'name = "b"\nwheels = [{ label = "rear", spokes = "3" }]',
            "f.toml, wheels[0].spokes (rear): expected `int`, got `str`: '3'",
        ),
        (
            'name = "b"\nwheels = [{ label = "rear", size = "smal" }]',
            "f.toml, wheels[0].size (rear): 'smal': did you mean small?",
        ),
        (
            'name = "b"\nwheels = [{ label = "rear", tags = ["x", 1] }]',
            "f.toml, wheels[0].tags[1] (rear): expected `str`, got `int`: 1",
        ),
        (
            'name = "b"\nparts.spare = { label = "spare", sise = "small" }',
            "f.toml, parts[...]: unknown key 'sise': did you mean size?",
        ),
    ],
)
def test_each_mistake_is_named_with_its_place(source: str, sentence: str) -> None:
    with pytest.raises(BenchError) as raised:
        parse_toml(source, Bicycle, "f.toml")
    assert str(raised.value) == sentence
