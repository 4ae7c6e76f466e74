"""Hyper-parameters as plug-ins declare them: default, range, meaning."""

from __future__ import annotations

import json
import math
import numbers
import types
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Param:
    """One hyper-parameter: its default, the values it may take, and what it means.

    Attributes
    ----------
    type : str
        The annotation as written (``int``, ``float``, ``bool``, ``str``, each with an optional
        ``| None``; anything else accepts every value).
    spelling : str
        The name that users write: in the method grammar, in ``get_params`` and in records.
    attribute : str
        The name that the plug-in's own code reads: the same, unless `param` was given a spelling.
    """

    default: Any
    help: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[Any, ...] | None = None
    type: str = "object"
    spelling: str = ""
    attribute: str = ""

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
            return self._accepts_number(value, "float" in kinds)
        if "bool" in kinds and isinstance(value, bool):
            return True
        if "str" in kinds and isinstance(value, str):
            return True
        return not kinds <= {"int", "float", "bool", "str", "None"}

    def _accepts_number(self, value: numbers.Real, fractions: bool) -> bool:
        if isinstance(value, bool) or not (fractions or isinstance(value, numbers.Integral)):
            return False
        return math.isfinite(float(value)) and self._within(float(value))

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
    spelling: str = "",
) -> Any:
    """Declare a hyper-parameter: ``k: int = param(100, ge=1, help="neighbours")``.

    The default is the paper's value; the class docstring says which paper.

    ``spelling`` is for a parameter that users know by the name of a method of the class. The
    parameter ``loss`` of a network, which has a method ``loss``, is declared as
    ``loss_name: str = param("softmax", spelling="loss")``: the code reads ``self.loss_name``, and
    users go on writing ``[loss=…]``.
    """
    allowed = None if choices is None else tuple(choices)
    return Param(default, help, ge, gt, le, lt, allowed, spelling=spelling)


def declared_parameters(cls: type) -> dict[str, Param]:
    """The hyper-parameters of a class that is being made, by spelling; those of its bases first.

    In the class, each `Param` of its own gives way to its default. A parameter that a base declares
    too replaces that one, and keeps its spelling where `param` names no other.

    Raises
    ------
    TypeError
        A default is not accepted, two parameters have one spelling, or a parameter and something
        else, a method above all, have one name: one of the two would silently not be used.
    """
    inherited: dict[str, Param] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited |= vars(base).get(_DECLARED, {})
    own = {
        attribute: _completed(cls, attribute, value, inherited.get(attribute))
        for attribute, value in vars(cls).items()
        if isinstance(value, Param)
    }
    setattr(cls, _DECLARED, own)
    for attribute, declared in own.items():
        setattr(cls, attribute, declared.default)
    params: dict[str, Param] = {}
    for attribute, declared in (inherited | own).items():
        _refuse_one_name_for_two(cls, attribute)
        other = params.setdefault(declared.spelling, declared)
        if other is not declared:
            raise TypeError(
                f"{cls.__name__}: the parameters {other.attribute} and {attribute} are both "
                f"spelled {declared.spelling}; give one of them another spelling"
            )
    _refuse_parameter_lost_to_method(cls)
    return params


_DECLARED = "_declared_parameters"  # of each class: those of its own body, by attribute


def _completed(cls: type, attribute: str, value: Param, inherited: Param | None) -> Param:
    """A declaration with its type, attribute and spelling; refuses a default out of range."""
    annotation = vars(cls).get("__annotations__", {}).get(attribute, value.type)
    if not isinstance(annotation, str):  # `int | None` has no name
        annotation = getattr(annotation, "__name__", str(annotation))
    spelling = value.spelling or (inherited.spelling if inherited else attribute)
    declared = replace(value, type=annotation, attribute=attribute, spelling=spelling)
    if not declared.accepts(declared.default):
        raise TypeError(
            f"{cls.__name__}.{attribute}: the default {declared.default!r} is not "
            f"{declared.allowed()}"
        )
    for value in (declared.default, *(declared.choices or ())):
        _refuse_no_json(value, f"{cls.__name__}.{attribute}")
    return declared


def _refuse_no_json(value: Any, name: str) -> None:
    """Raise `TypeError` unless a record can hold a value of a parameter."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: {value!r} cannot stand in a record, which is JSON; write it as a plain int, "
            "float, str, bool, None, or a list of them"
        ) from error


def _refuse_one_name_for_two(cls: type, attribute: str) -> None:
    """Raise `TypeError` where a parameter's attribute is something else, too, in the class."""
    owners = [base for base in cls.__mro__ if attribute in vars(base)]
    declaring = next(base for base in owners if attribute in vars(base).get(_DECLARED, {}))
    others = [base for base in owners if attribute not in vars(base).get(_DECLARED, {})]
    if not others:
        return
    other = others[0]
    what = "method" if hasattr(vars(other)[attribute], "__get__") else "attribute"
    parameter = f"the parameter {attribute} of {declaring.__name__}"
    if owners.index(other) < owners.index(declaring):
        raise TypeError(
            f"{cls.__name__}: the {what} {attribute} of {other.__name__} hides {parameter}; "
            + (
                f"give the {what} another name"
                if what == "method"
                else f"write {attribute}: {declaring.__annotations__[attribute]} = param(…) "
                "to change its default"
            )
        )
    raise TypeError(
        f"{cls.__name__}: {parameter} hides the {what} {attribute} of {other.__name__}; give it "
        f"another name, which may be spelled alike: {attribute}_name: … = param(…, "
        f"spelling={attribute!r})"
    )


def _refuse_parameter_lost_to_method(cls: type) -> None:
    """Raise `TypeError` where a class body declares a parameter and then a method of its name."""
    for name, annotation in vars(cls).get("__annotations__", {}).items():
        value = vars(cls).get(name)
        if isinstance(value, types.FunctionType | property) and "ClassVar" not in str(annotation):
            raise TypeError(
                f"{cls.__name__}: the method {name} hides the parameter {name}; give one of them "
                f"another name, the parameter {name}_name: … = param(…, spelling={name!r}), say"
            )
