"""The test kit's ground: what a check is given, how it fails, and the checks of every plug-in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError, Param, Plugin


class FailedError(Exception):
    """A check was not passed; says in one sentence why."""


class InapplicableError(Exception):
    """A check has no meaning for a plug-in; says why."""


@dataclass(frozen=True)
class Subject:
    """One plug-in under test; of a family, one member.

    Attributes
    ----------
    plugin : type of Plugin
    member : str or None
    file : Path
    """

    plugin: type[Plugin]
    member: str | None
    file: Path

    @property
    def name(self) -> str:
        """As on the command line."""
        return self.plugin.name + (self.member or "")

    def make(self, **params: Any) -> Any:
        """A fresh object with the parameters for small data, and with ``params``."""
        return self.plain(**{**self.plugin.small, **params})

    def plain(self, **params: Any) -> Any:
        """A fresh object with default parameters but for ``params``."""
        return self.plugin(**({} if self.member is None else {"member": self.member}), **params)


Check = Callable[[Subject], None]


def require(holds: bool, sentence: str) -> None:
    """Fail the check with ``sentence`` unless ``holds``."""
    if not holds:
        raise FailedError(sentence)


def refused(what: str, action: Callable[[], Any]) -> None:
    """Fail unless ``action`` raises a `BenchError`."""
    try:
        action()
    except BenchError:
        return
    except Exception as error:
        raise FailedError(
            f"{what} ends in {type(error).__name__} ({' '.join(str(error).split())}) and not in a "
            "BenchError that tells the user what to do"
        ) from error
    raise FailedError(f"{what} is accepted; raise a BenchError")


def same(first: np.ndarray, second: np.ndarray, sentence: str, tolerance: float = 0.0) -> None:
    """Fail with ``sentence`` unless the arrays agree: to the bit, or within ``tolerance``.

    The tolerance is relative to the largest number. Booleans have to be the same.
    """
    require(first.shape == second.shape and first.dtype == second.dtype, sentence)
    if tolerance == 0 or first.dtype == bool:
        require(first.tobytes() == second.tobytes(), sentence)
    elif first.size:
        far = float(np.abs(first - second).max())
        require(
            far <= tolerance * max(1.0, float(np.abs(second).max())), f"{sentence} (by {far:.3g})"
        )


def name_is_well_formed(subject: Subject) -> None:
    """Lower-case words joined by hyphens; a family's ends in a colon."""
    require(
        re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*:?", subject.plugin.name) is not None,
        f"{subject.plugin.name!r}: write lower-case letters and digits, joined by hyphens",
    )


def docstring_names_a_reference(subject: Subject) -> None:
    """The class says where it comes from: a year, or that there is no paper."""
    text = vars(subject.plugin).get("__doc__") or ""
    require(
        re.search(r"\b(19|20)\d\d\b|[Rr]eference: none|no paper", text) is not None,
        f"the docstring of {subject.plugin.__name__} names no reference; give authors, venue and "
        "year, or write 'Reference: none'",
    )


def parameters_have_help(subject: Subject) -> None:
    """Every parameter says what it means."""
    bare = [name for name, one in subject.plugin.params.items() if not one.help.strip()]
    require(not bare, f"param(…, help=…) is missing for {', '.join(bare)}")


def parameters_round_trip(subject: Subject) -> None:
    """`get_params` makes an equal object; unknown names and values out of range are refused."""
    made = subject.plain()
    require(
        {name: one.default for name, one in made.params.items()}
        == {name: made.get_params()[name] for name in made.params},
        "an object made without parameters does not have the default ones",
    )
    made = subject.make()
    params = made.get_params()
    again = type(made)(**params)
    require(again.get_params() == params, "get_params() does not make an equal object")
    require(again.set_params(**params) is again, "set_params does not return the object itself")
    refused("an unknown parameter", lambda: made.set_params(surely_no_parameter=1))
    for name, declared in made.params.items():
        for value in _outside(declared):
            refused(f"{name}={value!r}", partial(made.set_params, **{name: value}))
    require(made.get_params() == params, "a refused parameter changes the object")


def _outside(declared: Param) -> list[Any]:
    """Values that a parameter must not take."""
    candidates = [
        None if bound is None else bound + step
        for bound, step in ((declared.ge, -1), (declared.gt, 0), (declared.le, 1), (declared.lt, 0))
    ]
    wrong = [value for value in candidates if value is not None]
    return [value for value in [*wrong, "surely no choice"] if not declared.accepts(value)]


def repr_is_one_line(subject: Subject) -> None:
    """For logs and error sentences."""
    text = repr(subject.plain())
    require("\n" not in text, "repr() has several lines")
    require(text.startswith(subject.plugin.__name__), f"repr() is {text}, without the class's name")


CHECKS: tuple[Check, ...] = (
    name_is_well_formed,
    docstring_names_a_reference,
    parameters_have_help,
    parameters_round_trip,
    repr_is_one_line,
)
