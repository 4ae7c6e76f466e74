"""Classifiers that inherit what they are: from a class of this file, and from built-in methods."""

from __future__ import annotations

from bench.methods.br import BinaryRelevance
from bench.methods.mlknn import MLkNN

from bench.api import Classifier, param


class Base(Classifier):
    """Runs by name only, on one class per image; no plug-in, since it has no name."""

    by_name_only = True
    kinds = ("single",)
    k: int = param(1, help="neighbours")


class Closed(Base):
    """All as in `Base`."""

    name = "closed"


class Open(Base):
    """As `Base`, and run by ``all`` too."""

    name = "open"
    by_name_only = False


class Relevance(BinaryRelevance):
    """A built-in method under another name."""

    name = "relevance"


class Weighted(MLkNN):
    """A built-in method with one more parameter."""

    name = "weighted"
    weight: float = param(1.0, help="of the nearest")
