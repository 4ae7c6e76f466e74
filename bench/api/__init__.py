"""The contract between bench and plug-ins: the four kinds, what they take, what they raise.

Imports neither torch nor scikit-learn, and NumPy only with the first name that needs it
(`FaceSet` and the parts of a split), so that listing plug-ins stays quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.api.classifier import Classifier
from bench.api.dataset import Dataset
from bench.api.errors import BenchError, InputError, UnavailableError, alike, near
from bench.api.features import FaceInput, Features, Setting
from bench.api.network import Network
from bench.api.parameters import Param, param
from bench.api.plugin import Plugin

if TYPE_CHECKING:
    from bench.api.faces import LEFT_OUT, TEST, TRAIN, VALID, FaceSet

__all__ = [
    "LEFT_OUT",
    "TEST",
    "TRAIN",
    "VALID",
    "BenchError",
    "Classifier",
    "Dataset",
    "FaceInput",
    "FaceSet",
    "Features",
    "InputError",
    "Network",
    "Param",
    "Plugin",
    "Setting",
    "UnavailableError",
    "alike",
    "near",
    "param",
]

KINDS: Mapping[str, type[Plugin]] = {
    "Dataset": Dataset,
    "Features": Features,
    "Classifier": Classifier,
    "Network": Network,
}

_OF_FACES = ("LEFT_OUT", "TEST", "TRAIN", "VALID", "FaceSet")


def __getattr__(name: str) -> Any:
    if name not in _OF_FACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench.api import faces

    return getattr(faces, name)
