"""The test kit's check that what a network overrides is heard: it counts the calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import wraps
from types import FunctionType
from typing import Any

import numpy as np

from bench.api import Plugin
from bench.kit.faces import faces_for, setting_for
from bench.kit.general import InapplicableError, Subject, require


def overridden_hooks_are_called(subject: Subject) -> None:
    """What a network overrides of a shared class is called while it learns and answers.

    A loss that nobody calls gives the results of another loss under a new name.
    """
    hooks = overridden(subject.plugin)
    if not hooks:
        raise InapplicableError("it overrides nothing of a class that it shares with others")
    calls: Counter[str] = Counter()
    counted = Subject(counting(subject.plugin, hooks, calls), subject.member, subject.file)
    for kind in subject.plugin.kinds:  # type: ignore[attr-defined]
        _learn_and_answer(counted, kind)
    silent = [f"{owner.__name__}.{name}" for name, owner in hooks.items() if not calls[name]]
    require(
        not silent,
        f"{' and '.join(silent)}: never called, neither in training nor in an answer, and so "
        "without effect; override what the class above calls in its place, or take it out",
    )


def overridden(plugin: type[Plugin]) -> dict[str, type]:
    """The hooks that a network overrides, by name, with the class of its own that does so.

    A hook is a method or property of a shared class, one of ``bench.nn`` above all. Own are the
    classes of the plug-in's file, or of its package. What `bench.api` declares is left out: the
    engine calls that, and so do the other checks.
    """
    hooks: dict[str, type] = {}
    for place, owner in enumerate(plugin.__mro__):
        if _package(owner) != _package(plugin):
            continue
        for name in vars(owner):
            above = [one for one in plugin.__mro__[place + 1 :] if name in vars(one)]
            by_contract = any(one.__module__.startswith("bench.api.") for one in above)
            if above and not by_contract and not name.startswith("_"):
                values = [vars(one)[name] for one in (owner, above[-1])]
                if all(isinstance(value, FunctionType | property) for value in values):
                    hooks.setdefault(name, owner)
    return hooks


def counting(plugin: type[Plugin], names: Mapping[str, type], calls: Counter[str]) -> type[Plugin]:
    """A class derived from a plug-in's that counts in ``calls`` how often hooks are called."""

    def counted(name: str, owner: type) -> Any:
        value = vars(owner)[name]
        function: Any = getattr(value, "fget", value)  # of a property

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            calls[name] += 1
            return function(*arguments, **named)

        return property(call) if isinstance(value, property) else call

    hooks = {name: counted(name, owner) for name, owner in names.items()}
    return type(plugin.__name__, (plugin,), hooks)


def _package(cls: type) -> str:
    """Of a lone file, the file: it has no package."""
    return cls.__module__.rpartition(".")[0] or cls.__module__


def _learn_and_answer(subject: Subject, kind: str) -> None:
    """What the engine does with a network on a dataset of ``kind``, once."""
    faces = faces_for(subject, kind=kind)
    network = subject.make()
    network.setting = setting_for(subject)
    network.fit(faces.take(slice(0, 8)), np.random.default_rng(0), faces.take(slice(8, 12)))
    network.outputs(faces)
    network.measures(faces)
