"""Classes of built-in plug-ins by name: tests reach them as users do, through the registry."""

from __future__ import annotations

from functools import cache
from typing import Any

from bench.api import FaceSet, Setting
from bench.plugins import Registry


@cache
def registry() -> Registry:
    """The built-in plug-ins, read once."""
    return Registry()


def method_class(name: str) -> Any:
    """The class of a built-in method; of a family any member's, such as ``skml:MLkNN``."""
    return registry().find("method", name)[0].load()


def dataset_class(name: str) -> Any:
    """The class of a built-in dataset."""
    return registry().find("dataset", name)[0].load()


def configured(
    name: str, budget: str, others: dict[str, FaceSet] | None = None, **params: Any
) -> Any:
    """A built-in method with these parameters, told its budget and its second datasets."""
    method = method_class(name)(**params)
    method.setting = Setting(budget=budget, others=others or {})
    return method
