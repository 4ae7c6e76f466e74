"""A method as a paper's table writes it: which plug-ins it is, with which parameters.

``bench run`` takes lists and sweeps; an entry of a table has one method, or people in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.api import BenchError
from bench.plugins import Registry
from bench.run.grammar import parse_methods
from bench.run.methods import Spec, specs

HUMAN = "human"
"""Stands for a method in runs: people's votes, half against half (`bench.papers.human`)."""


def method_of(registry: Registry, run: str) -> tuple[Spec | None, Spec | None]:
    """Features and classifier of one method as written, parameters filled in.

    Raises
    ------
    BenchError
        No such method or parameter, or more than one method.
    """
    if run == HUMAN:
        raise BenchError(f"{HUMAN} is no plug-in: it is looked for among the records alone")
    term, *others = parse_methods(run)
    left = specs(registry, "method", term.left)
    right = specs(registry, "method", term.right) if term.right is not None else []
    if others or len(left) > 1 or len(right) > 1:
        raise BenchError(f"{run}: one method, no list and no sweep")
    if left[0].entry.kind == "Classifier":
        return None, left[0]
    return left[0], (right[0] if right else None)


def params_of(registry: Registry, run: str) -> dict[str, Any]:
    """Every parameter of a method as written, by ``features`` and ``classifier``."""
    sides = zip(("features", "classifier"), method_of(registry, run), strict=True)
    return {
        side: {"name": spec.name, **_own_params(spec)} for side, spec in sides if spec is not None
    }


def trains(registry: Registry, run: str) -> bool:
    """Whether a method as written follows a training schedule; False of one that is not there."""
    if run in ("", HUMAN):
        return False
    try:
        features, _ = method_of(registry, run)
    except BenchError:
        return False
    return features is not None and bool(getattr(features.entry.load(), "trains", False))


def has_params(params: Mapping[str, Any], spec: Spec | None) -> bool:
    """Whether a record's parameters are those of ``spec``; one that it lacks has its default."""
    if spec is None:
        return not params
    declared = spec.entry.load().params
    wanted = _own_params(spec) | {"weights": _folderless(spec.params.get("weights"))}
    return all(
        params.get(name, declared[name].default) == value
        for name, value in wanted.items()
        if name in declared
    )


def _own_params(spec: Spec) -> dict[str, Any]:
    """Parameters but those that name other datasets, which records hold by other names."""
    companions = getattr(spec.entry.load(), "companions", {})
    return {name: value for name, value in spec.params.items() if name not in companions}


def _folderless(weights: Any) -> Any:
    return weights.rpartition("/")[2] if isinstance(weights, str) and "/" in weights else weights
