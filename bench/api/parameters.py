"""Hyper-parameters as plug-ins declare them: default, range, meaning."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Param:
    """One hyper-parameter: its default, the values it may take, and what it means.

    ``type`` is the annotation as written (``int``, ``float``, ``bool``, ``str``, each with an
    optional ``| None``; anything else accepts every value).
    """

    default: Any
    help: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[Any, ...] | None = None
    type: str = "object"

    def allowed(self) -> str:
        """The values accepted, in words."""
        if self.choices is not None:
            return " | ".join(map(str, self.choices))
        bounds = [(">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt)]
        limits = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
        return f"{self.type} {limits}".strip()

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` has the right type and lies within the bounds."""
        kinds = {kind.strip() for kind in self.type.split("|")}
        if value is None:
            return "None" in kinds or self.type == "object"
        if self.choices is not None:
            return value in self.choices
        if kinds & {"int", "float"} and isinstance(value, numbers.Real):
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if "float" not in kinds and not whole:
                return False
            number = float(value)
            return not isinstance(value, bool) and math.isfinite(number) and self._within(number)
        if "bool" in kinds and isinstance(value, bool):
            return True
        if "str" in kinds and isinstance(value, str):
            return True
        return not kinds <= {"int", "float", "bool", "str", "None"}

    def _within(self, number: float) -> bool:
        return not (
            (self.ge is not None and number < self.ge)
            or (self.gt is not None and number <= self.gt)
            or (self.le is not None and number > self.le)
            or (self.lt is not None and number >= self.lt)
        )

    def parse(self, text: str) -> Any:
        """Read a value written on the command line; the result still has to be accepted."""
        kinds = [kind.strip() for kind in self.type.split("|")]
        if "None" in kinds and text.lower() == "none":
            return None
        for choice in self.choices or ():
            if str(choice) == text:
                return choice
        if "bool" in kinds and text.lower() in ("true", "false"):
            return text.lower() == "true"
        for kind, read in (("int", int), ("float", float)):
            if kind in kinds:
                try:
                    return read(text)
                except ValueError:
                    continue
        return text


def param(
    default: Any,
    *,
    help: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Iterable[Any] | None = None,
) -> Any:
    """Declare a hyper-parameter: ``k: int = param(100, ge=1, help="neighbours")``.

    The default is the paper's value; the class docstring says which paper.
    """
    return Param(default, help, ge, gt, le, lt, None if choices is None else tuple(choices))
