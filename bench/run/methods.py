"""From what the user wrote to the exact methods: names, typed parameters, sweeps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.api import BenchError, Classifier, Dataset, Features, Network, Plugin
from bench.plugins import Entry, Registry
from bench.run.contract import MethodError, blame_faults
from bench.run.grammar import Part, Term, parse_part
from bench.run.printable import printable
from bench.run.worker import trace


@dataclass(frozen=True)
class Spec:
    """One plug-in with all its parameters set.

    Attributes
    ----------
    params : dict
        Every parameter by the name that the command line gives it, but ``random_state``.
    faults : list of (str, str)
        What the plug-in raised while cells were planned, sentence and traceback: they fail for it.
    """

    entry: Entry
    member: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list, compare=False, repr=False)

    @property
    def name(self) -> str:
        """As written on the command line, without parameters."""
        return self.entry.name + (self.member or "")

    @property
    def written(self) -> str:
        """As written on the command line, with the parameters that are not the default."""
        declared = self.entry.load().params
        changed = [
            f"{key}={value}" for key, value in self.params.items() if value != declared[key].default
        ]
        return f"{self.name}[{','.join(changed)}]" if changed else self.name

    @cached_property
    def plugin(self) -> Any:
        """An object for the planner's questions about a method; it learns nothing."""
        return self.make()

    def asked(self, hook: str, question: Callable[[Any], Any], otherwise: Any) -> Any:
        """The plug-in's answer to a question; ``otherwise`` where it fails, which `faults` notes.

        Raises
        ------
        BenchError
            What the plug-in refuses in a sentence of its own, such as a value of a parameter.
        """
        try:
            with blame_faults(self.name, hook):
                return question(self.plugin)
        except MethodError as error:
            self.faults.append((str(error), printable(trace(error))))
            return otherwise

    def stand_in(self) -> None:
        """Plan on with the class's own attributes, since an object of it cannot be made."""
        stand_in = object.__new__(self.entry.load())
        stand_in.member = self.member
        vars(self)["plugin"] = stand_in

    def make(self) -> Any:
        """A fresh object of the plug-in's class, for one job."""
        member = {} if self.member is None else {"member": self.member}
        return self.entry.load()(**member, **self.params)

    def published_params(self) -> dict[str, Any]:
        """The parameters without the folders of files, whose hash counts: records are public."""
        params = dict(self.params)
        if isinstance(weights := params.get("weights"), str) and os.sep in weights:
            params["weights"] = Path(weights).name
        return params

    def __getstate__(self) -> dict[str, Any]:
        """Without `plugin`, which the process that runs a job makes anew."""
        return {name: value for name, value in vars(self).items() if name != "plugin"}


@dataclass(frozen=True)
class Method:
    """A features plug-in, a classifier, or both; a network alone gives its own scores."""

    features: Spec | None
    classifier: Spec | None

    @property
    def stochastic(self) -> bool:
        """Whether the seed changes what it says."""
        specs = (self.features, self.classifier)
        return any(
            spec.asked("stochastic", lambda plugin: bool(plugin.stochastic), False)
            for spec in specs
            if spec is not None
        )


def specs(registry: Registry, what: str, part: Part) -> list[Spec]:
    """Every combination of ``part``'s parameters, typed and checked.

    Raises
    ------
    BenchError
        Unknown names and parameters (near ones listed), values out of range (the range is said).
    """
    entry, member = registry.find(what, part.name)
    plugin: type[Plugin] = entry.load()
    defaults = {key: declared.default for key, declared in plugin.params.items()}
    combinations = []
    for choice in part.choices():
        typed = {
            key: plugin.params[key].parse(text) if key in plugin.params else text
            for key, text in choice.items()
        }
        if "random_state" in typed and not issubclass(plugin, Dataset):
            raise BenchError(f"{part}: random_state is set from --seeds, not in brackets")
        params = {**defaults, **typed}
        params.pop("random_state", None)
        spec = Spec(entry, member, params)
        # Made here, so that a wrong parameter is told at once.
        if not spec.asked("construction", lambda made: made.get_params() is not None, False):
            spec.stand_in()
        combinations.append(spec)
    return combinations


def dataset_spec(registry: Registry, text: str) -> Spec:
    """The dataset that ``--dataset`` names; a sweep is refused."""
    found = specs(registry, "dataset", parse_part(text))
    if len(found) > 1:
        raise BenchError(f"--dataset {text}: one value for each parameter, no sweep")
    for sentence, _ in found[0].faults:
        raise BenchError(sentence)
    return found[0]


def resolve(
    registry: Registry,
    terms: Iterable[Term],
    kind: str,
    images: bool,
    learnt: str | None = None,
    distribution: bool = False,
) -> list[Method]:
    """The methods that ``terms`` stand for on a dataset of ``kind``, each once, in order.

    Parameters
    ----------
    images : bool
        False for a dataset of precomputed features, where ``all`` features means ``identity``.
    learnt : str or None
        Kind of the dataset that features and networks are fitted on, where it is another one.
    distribution : bool
        Whether the dataset has label distributions, for classifiers that learn from them.
    """
    chooser = _Chooser(registry, kind, images, learnt or kind, distribution)
    found: dict[str, Method] = {}
    for term in terms:
        for method in chooser.expand(term):
            found.setdefault(repr(method), method)
    return list(found.values())


def _needs_distribution(entry: Entry) -> bool:
    return getattr(entry.load(), "learns", "labels") == "distribution"


class _Chooser:
    def __init__(
        self, registry: Registry, kind: str, images: bool, learnt: str, distribution: bool
    ) -> None:
        self.registry, self.kind, self.images, self.learnt = registry, kind, images, learnt
        self.distribution = distribution

    def expand(self, term: Term) -> list[Method]:
        left, right = term.left, term.right
        if right is None:
            if left.name == "all":
                return self._all(left)
            return [self._alone(spec) for spec in self._named(left, "")]
        if left.name == "all":
            features = self._every(left, ("Features", "Network"))
        else:
            features = self._named(left, "features")
        if right.name == "all":
            classifiers = self._every(right, ("Classifier",))
        else:
            classifiers = self._named(right, "classifier")
        return [self._pair(one, other) for one in features for other in classifiers]

    def _all(self, part: Part) -> list[Method]:
        """Every ready built-in pair, and every method that needs no partner."""
        features = self._every(part, ("Features", "Network"))
        classifiers = self._every(part, ("Classifier",))
        pairs = [self._pair(one, other) for one in features for other in classifiers]
        alone = self.learnt == self.kind or self.kind == "single"
        networks = [Method(one, None) for one in features if one.entry.kind == "Network" and alone]
        return networks + pairs

    def _every(self, part: Part, kinds: tuple[str, ...]) -> list[Spec]:
        if part.params:
            raise BenchError(f"{part}: parameters need a method's name, not all")
        if not self.images and "Features" in kinds:
            return specs(self.registry, "method", Part("identity"))
        return [
            spec
            for entry in self.registry.methods.values()
            if entry.builtin and entry.state == "ready" and entry.kind in kinds
            if not entry.name.endswith(":") and not entry.load().by_name_only
            if self._met_by(entry) in getattr(entry.load(), "kinds", ())
            if self.distribution or not _needs_distribution(entry)
            for spec in specs(self.registry, "method", Part(entry.name))
        ]

    def _named(self, part: Part, place: str) -> list[Spec]:
        found = specs(self.registry, "method", part)
        kind = found[0].entry.kind
        if place == "features" and kind == "Classifier":
            raise BenchError(f"{part.name} is a classifier: write FEATURES+{part.name}")
        if place == "classifier" and kind != "Classifier":
            raise BenchError(f"{part.name} is no classifier: write {part.name}+CLASSIFIER")
        met = self._met_by(found[0].entry)
        for spec in found:
            if isinstance(spec.plugin, Features):
                reason = spec.asked("unsuited", lambda made: made.unsuited(met), None)
                if reason is not None:
                    raise BenchError(str(reason))
            elif met not in spec.plugin.kinds:
                raise BenchError(f"{part.name} is not meant for {met}-label data")
        if _needs_distribution(found[0].entry) and not self.distribution:
            raise BenchError(
                f"{part.name} learns from label distributions, and this dataset has none: take a "
                "classifier that learns labels, or a dataset with distributions (raf-ml, say)"
            )
        return found

    def _met_by(self, entry: Entry) -> str:
        """The kind of the data that a method is fitted on."""
        return self.kind if entry.kind == "Classifier" else self.learnt

    def _alone(self, spec: Spec) -> Method:
        plugin = spec.entry.load()
        if issubclass(plugin, Network):
            if self.learnt == "single" and self.kind == "multi":
                raise BenchError(
                    f"{spec.name}, trained on single-label data, cannot be asked about label sets "
                    f"as it is: write {spec.name}+CLASSIFIER"
                )
            return Method(spec, None)
        if issubclass(plugin, Classifier):
            if plugin.needs_features:
                raise BenchError(
                    f"{spec.name} is a classifier and needs features: write FEATURES+{spec.name}, "
                    f"or all+{spec.name}"
                )
            return Method(None, spec)
        raise BenchError(
            f"{spec.name} gives features, not scores: write {spec.name}+CLASSIFIER, or "
            f"{spec.name}+all"
        )

    def _pair(self, features: Spec, classifier: Spec) -> Method:
        plugin = classifier.entry.load()
        assert issubclass(plugin, Classifier)
        # Features cannot change such a method's answer: with any of them it is one cell.
        return Method(features if plugin.needs_features else None, classifier)
