"""Names of methods as a reader of one table needs them: with the parameters that vary in it.

A table has a block per classifier and a line per feature, so a method's name is split over block
and line; an index of exported scores has no blocks and takes the whole name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from bench.plugins import Registry
from bench.publish.rows import TUNED, Row, canonical, natural, shown_params

_NO_FEATURES = "no features"
_NETWORKS = "networks with their own output"


class MethodNames:
    """Names of the methods in ``rows``, the rows of one table.

    A parameter stands in a name where the table holds two values of it, where its value was tuned,
    and where its default has changed and the value is not today's (`Plugin.changed_defaults`):
    without it a record of before would pass for one of today.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        # by plug-in and parameter, the values in the table by their canonical text
        self._values: dict[str, dict[str, dict[str, Any]]] = {}
        for row in rows:
            for name, params in _sides(row):
                if name is not None:
                    of_plugin = self._values.setdefault(name, {})
                    for param, value in params.items():
                        of_plugin.setdefault(param, {})[canonical(value)] = value
        methods = Counter(map(self._method, rows))
        self._repeated = {method for method, count in methods.items() if count > 1}

    def block(self, row: Row) -> str:
        """Title of the block that a row belongs to."""
        if row.cell.classifier is None:
            return _NETWORKS
        return _NO_FEATURES if row.cell.features is None else self._method(row)[1]

    def block_order(self, row: Row) -> tuple[int, tuple[str | float, ...]]:
        """Sort key of the row's block: rows without features, classifiers, networks."""
        cell = row.cell
        kind = 2 if cell.classifier is None else int(cell.features is not None)
        return kind, natural(self.block(row))

    def line(self, row: Row) -> str:
        """The row's label within its block; random weights are always named."""
        method = self._method(row)
        label = method[0] or method[1]
        random = any(record.cell.weights == "random" for record in row.records)
        if random and "weights=random" not in label:
            return f"{label} (random weights)"
        if row.cell.weights is not None and method in self._repeated:
            return f"{label} (weights {row.cell.weights[:8]})"
        return label

    def whole(self, row: Row) -> str:
        """The method's name outside any block: ``lbp + mlknn[k=5]``."""
        pair = row.cell.features is not None and row.cell.classifier is not None
        return self.line(row) + (f" + {self.block(row)}" if pair else "")

    def parameters(self) -> str:
        """Every plug-in's parameters, swept values with ``|`` between them."""
        texts = []
        for name in sorted(self._values, key=natural):
            params = [
                f"{param}={'|'.join(sorted(map(written, values.values()), key=natural))}"
                for param, values in self._values[name].items()
            ]
            if params:
                texts.append(f"{name}[{','.join(params)}]")
        return "; ".join(texts)

    def _method(self, row: Row) -> tuple[str, str]:
        """Features and classifier with the parameters that vary; empty where there is none."""
        features, classifier = (self._named(name, params) for name, params in _sides(row))
        return features, classifier

    def _named(self, name: str | None, params: dict[str, Any]) -> str:
        if name is None:
            return ""
        changed = _changed_defaults().get(name, {})
        varied = [
            f"{param}={written(params[param])}"
            for param, values in self._values[name].items()
            if param in params
            and (
                len(values) > 1
                or params[param] == TUNED
                or params[param] != changed.get(param, params[param])
            )
        ]
        return f"{name}[{','.join(varied)}]" if varied else name


def _sides(row: Row) -> tuple[tuple[str | None, dict[str, Any]], ...]:
    """Name and parameters of the features, then of the classifier."""
    cell = row.cell
    return (
        (cell.features, shown_params(cell, "features")),
        (cell.classifier, shown_params(cell, "classifier")),
    )


@cache
def _changed_defaults() -> Mapping[str, Mapping[str, Any]]:
    """Of the plug-ins that are installed, `Plugin.changed_defaults` by name."""
    return {entry.name: dict(entry.changed_defaults) for entry in Registry()}


def written(value: Any) -> str:
    """A parameter's value as one writes it on the command line."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else canonical(value)
