"""Datasets whose kind is computed, the default, and inherited from a built-in dataset."""

from __future__ import annotations

from bench.datasets.people import People

from bench.api import Dataset


class Computed(Dataset):
    """Its kind shows only when the class is made."""

    name = "computed"
    kind = "sin" + "gle"


class Plain(Dataset):
    """It says nothing of its kind."""

    name = "plain"


class Persons(People):
    """Its kind is that of its base."""

    name = "persons"
