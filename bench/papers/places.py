"""Which data a paper's cells are measured on: the paper's own, a stand-in by request, or none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.api import BenchError, Dataset, near
from bench.data.predominant import kind_with
from bench.papers.files import PaperDataset, catalogue, datasets, paper_dataset
from bench.plugins import Registry
from bench.run.grammar import parse_part
from bench.run.methods import dataset_spec

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Place:
    """A dataset to measure on.

    Attributes
    ----------
    asked : str
        As the paper's specification names it.
    text : str
        As bench takes it, without its folder.
    root : Path or None
    stands_in : bool
        Whether it is another dataset than the one asked for.
    """

    asked: str
    text: str
    root: Path | None
    stands_in: bool

    @property
    def placed(self) -> str:
        """``NAME:DIR``, or the name alone."""
        return self.text if self.root is None else f"{self.text}:{self.root}"


@dataclass(frozen=True)
class Gap:
    """Why there is nothing to measure on, in one sentence."""

    asked: str
    why: str


@dataclass(frozen=True)
class Places:
    """Finds the data of papers.

    A paper's dataset is read by the plug-in of its name (the user's own one, say), else by the one
    that `datasets.toml` gives.

    Parameters
    ----------
    registry : Registry
    roots : mapping of str to Path
        Folders by the dataset's name (the papers' or the plug-in's).
    stand_ins : sequence of str
        Datasets that stand in for those that are not there, by kind. Of several of one kind the
        first stands in for a source, the last for a target; one embedded dataset alone stands in
        for both, its lighting and style shifted as a target.

    Raises
    ------
    BenchError
        An unknown name, or a folder that is none.
    """

    registry: Registry
    roots: Mapping[str, Path] = field(default_factory=dict)
    stand_ins: Sequence[str] = ()

    def __post_init__(self) -> None:
        known = {*datasets(), *(name.rstrip(":") for name in self.registry.datasets)}
        for name, root in self.roots.items():
            if name not in known:
                raise BenchError(f"--root {name}=…: no dataset {name!r}: {near(name, known)}")
            if not root.is_dir():
                raise BenchError(f"--root {name}={root}: no such folder")
        for text in self.stand_ins:
            self._kind(text)

    def find(self, asked: str, target: bool = False) -> Place | Gap:
        """What stands for a dataset of a paper; ``target``: in its role under protocol cross."""
        name, bracket, params = asked.partition("[")
        about = paper_dataset(name)
        plugin = self._plugin_for(about)
        text = plugin + bracket + params if plugin else ""
        if plugin:
            self._check_kind(about, plugin)
            root = self._root_of(name) or self._root_of(parse_part(plugin).name)
            if root is not None or self._embedded(plugin):
                return Place(asked, text, root, stands_in=False)
        kind = self._kind(text) if text else about.kind
        fitting = [stand_in for stand_in in self.stand_ins if self._kind(stand_in) == kind]
        if fitting:
            return self._standing_in(asked, fitting, target)
        how = "" if plugin else "bench has no loader for it yet. "
        give = f" Give its folder with --root {name}=DIR." if plugin else ""
        return Gap(asked, f"{name} is not here: {how}{about.obtain}{give}")

    def protocol(self, asked: str, place: Place) -> str:
        """How a place is divided: as asked, but a stand-in with its own split by that one.

        A random holdout of FER2013's faces would put copies of a face on both sides.
        """
        own = self._plugin(place.text).protocols
        return own[0] if place.stands_in and asked.startswith("holdout") and own else asked

    def filled(self, run: str) -> str | Gap:
        """A method with the second datasets that it names in braces put in."""
        text = run
        for name in _PLACEHOLDER.findall(run):
            found = self.find(name)
            if isinstance(found, Gap):
                return found
            text = text.replace(f"{{{name}}}", found.placed)
        return text

    def standing_in(self, run: str) -> list[str]:
        """The second datasets of a method that others stand in for, in words."""
        found = (self.find(name) for name in _PLACEHOLDER.findall(run))
        return [
            f"{one.text} for {one.asked}"
            for one in found
            if isinstance(one, Place)
            if one.stands_in
        ]

    def _standing_in(self, asked: str, fitting: Sequence[str], target: bool) -> Place:
        text = fitting[-1] if target else fitting[0]
        if target and len(fitting) == 1 and self._embedded(text):
            part = parse_part(text)
            params = {key: list(values) for key, values in part.params.items()}
            for name, value in catalogue().other_domain.items():
                params.setdefault(name, [value])
            text = str(type(part)(part.name, params))
        name = parse_part(text).name
        root = None if self._embedded(text) else self._root_of(name)
        if root is None and not self._embedded(text):
            raise BenchError(f"--stand-in {text}: give its folder with --root {name}=DIR")
        return Place(asked, text, root, stands_in=True)

    def _plugin_for(self, about: PaperDataset) -> str:
        """The plug-in that reads a paper's dataset; empty without one."""
        return about.name if about.name in self.registry.datasets else about.plugin

    def _check_kind(self, about: PaperDataset, plugin: str) -> None:
        if self._kind(plugin) != about.kind:
            file = self.registry.datasets[plugin].file
            raise BenchError(
                f"{about.name} is of kind {about.kind} in the papers, and the plug-in in {file} of "
                f"kind {self._kind(plugin)}: give the class another name, or kind = {about.kind!r}"
            )

    def _root_of(self, name: str) -> Path | None:
        if name in self.roots:
            return self.roots[name]
        base = os.environ.get("BENCH_DATA")
        folder = Path(base) / name if base else None
        return folder if folder is not None and folder.is_dir() else None

    def _plugin(self, text: str) -> type[Dataset]:
        found = dataset_spec(self.registry, text).entry.load()
        assert issubclass(found, Dataset)
        return found

    def _embedded(self, text: str) -> bool:
        return bool(text) and bool(self._plugin(text).embedded)

    def _kind(self, text: str) -> str:
        """The kind of the faces that a dataset gives, parameters included."""
        return kind_with(self._plugin(text).kind, dataset_spec(self.registry, text).params)


def roots_of(texts: Iterable[str]) -> dict[str, Path]:
    """Folders from ``NAME=DIR`` texts.

    Raises
    ------
    BenchError
        One that reads otherwise, or a name that stands twice.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise BenchError(f"--root {text}: write --root NAME=DIR, as --root raf-ml=DIR")
        if name in found:
            raise BenchError(f"--root {name}=…: {name} stands twice")
        found[name] = Path(folder).expanduser()
    return found
