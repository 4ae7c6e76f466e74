"""Readers of a laboratory for datasets that papers name: bench lacks the one, has the other."""

from __future__ import annotations

from bench.api import Dataset


class CKPlus(Dataset):
    """Peak frames of CK+."""

    name = "ck-plus"
    kind = "single"


class Webface(Dataset):
    """Persons, under the name that the papers give them."""

    name = "casia-webface"
    kind = "people"
