"""What the four kinds of plug-in share: a name and checked hyper-parameters."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from bench.api.errors import InputError, near
from bench.api.parameters import Param, declared_parameters


class Plugin:
    """What the four kinds share: a name, checked hyper-parameters, ``get_params``.

    Class attributes
    ----------------
    name : str
        As the literature and the command line call it. A family ends in a colon (``mulan:``)
        and is used with a member name (``mulan:yeast``), which stands in ``self.member``.
    extra : str or None
        The extra of this package (``pip install 'fer-bench[EXTRA]'``) that brings what the plug-in
        imports, where that is not installed anyway.
    by_name_only : bool
        True where ``all`` leaves it out (it needs a choice that only the user can make).
    trivial : bool
        True where it takes no face at all into account, so that it is a yardstick of tables and has
        no rank among methods.
    seconds_per_1000 : float, mapping of budget to float, or None
        Rough cost on one core per 1,000 images (a classifier: training rows), for ``--dry-run``
        before anything was measured.
    small : dict
        Parameters under which it works on 40 rows of 12 features with 4 labels, on 12 faces, or
        (a dataset) makes few of them; the test kit uses them.
    changed_defaults : dict
        Parameters whose default is no longer what it was, each with its default of today. A table
        writes any other value into a row's name, since records of before would else pass for
        records of today. Spelled as a literal, which tables read without importing the plug-in.
    members : tuple of str
        Names of a family that the test kit takes, each of them.
    params : dict of str to Param
        The hyper-parameters, those of the bases included, by the name that users write.

    Raises
    ------
    TypeError
        Where the class is made: a parameter has the name of something else in the class or in its
        bases, or a default that it does not accept.
    """

    name: ClassVar[str] = ""
    extra: ClassVar[str | None] = None
    by_name_only: ClassVar[bool] = False
    trivial: ClassVar[bool] = False
    seconds_per_1000: ClassVar[float | Mapping[str, float] | None] = None
    small: ClassVar[Mapping[str, Any]] = {}
    changed_defaults: ClassVar[Mapping[str, Any]] = {}
    members: ClassVar[tuple[str, ...]] = ()
    params: ClassVar[dict[str, Param]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.params = declared_parameters(cls)
        if "__init__" not in vars(cls):
            cls.__init__ = _initialiser(cls)  # type: ignore[method-assign]

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        self.member = member
        for declared in self.params.values():
            setattr(self, declared.attribute, declared.default)
        self.set_params(**params)

    def set_params(self, **params: Any) -> Self:
        """Set hyper-parameters; an unknown one or a value out of range raises `InputError`."""
        for spelling, value in params.items():
            if spelling == "member" and value == self.member:
                continue  # what get_params says may be set again
            declared = self.params.get(spelling)
            if declared is None:
                raise InputError(
                    f"{self.name} has no parameter {spelling!r}: {near(spelling, self.params)}"
                )
            if not declared.accepts(value):
                raise InputError(
                    f"{self.name}[{spelling}={value}] is not allowed: {spelling} takes "
                    f"{declared.allowed()}"
                )
            setattr(self, declared.attribute, value)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The hyper-parameters as set, by the names that users write (scikit-learn's contract)."""
        params = {name: getattr(self, one.attribute) for name, one in self.params.items()}
        if self.member is not None:
            params["member"] = self.member
        return params

    def remarks(self) -> tuple[str, ...]:
        """What the record should say after `fit` (a threshold chosen, which path ran)."""
        return ()

    def footnotes(self) -> tuple[str, ...]:
        """What a table must say beside the row, after `fit`: few words, few of them."""
        return ()

    def exempt(self) -> Mapping[str, str]:
        """Checks of the test kit that cannot hold for the method, by name, each with the reason."""
        return {}

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, declared.attribute)!r}"
            for name, declared in self.params.items()
            if getattr(self, declared.attribute) is not declared.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


def _initialiser(cls: type[Plugin]) -> Callable[..., None]:
    """An ``__init__`` whose signature shows the hyper-parameters, to `help` and to scikit-learn."""

    def initialise(self: Plugin, **params: Any) -> None:
        super(cls, self).__init__(**params)

    shown = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=declared.default)
        for name, declared in cls.params.items()
        if name.isidentifier() and not keyword.iskeyword(name)
    ]
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    initialise.__name__, initialise.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
    initialise.__signature__ = inspect.Signature([first, *shown])  # type: ignore[attr-defined]
    return initialise
