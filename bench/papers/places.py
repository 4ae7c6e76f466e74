"""Which data a paper's entries are measured on: the paper's own, a stand-in by request, or none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.api import BenchError, Dataset, near
from bench.data.predominant import kind_with
from bench.papers.files import PaperDataset, catalogue, datasets, paper_dataset
from bench.papers.spec import Conditions
from bench.plugins import Registry
from bench.run.grammar import parse_part
from bench.run.methods import dataset_spec

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Place:
    """A dataset to measure on.

    Attributes
    ----------
    dataset : str
        As the paper's specification names it.
    text : str
        As bench takes it, without its folder.
    root : Path or None
    stands_in : bool
        Whether it is another dataset than the paper's.
    """

    dataset: str
    text: str
    root: Path | None
    stands_in: bool

    @property
    def placed(self) -> str:
        """``NAME:DIR``, or the name alone."""
        return self.text if self.root is None else f"{self.text}:{self.root}"

    @property
    def in_words(self) -> str:
        """What stands in for what; empty where it is the paper's own dataset."""
        return f"{self.text} for {self.dataset}" if self.stands_in else ""


@dataclass(frozen=True)
class Gap:
    """Why there is nothing to measure on, in one sentence."""

    dataset: str
    why: str


class MissingDataError(BenchError):
    """Data of an entry are not there; the sentence is that of the first."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        super().__init__(gaps[0].why)
        self.gaps = tuple(gaps)


@dataclass(frozen=True)
class Located:
    """A method with everything that it learns from and is measured on.

    Attributes
    ----------
    conditions : Conditions
        Those of the entry, but a stand-in is divided by its own split.
    run : str
        The method with the other datasets put in that it names in braces.
    source : Place
        Trained on.
    target : Place or None
        Under protocol ``cross``: measured on.
    companions : tuple of Place
        The other datasets that the method learns from.
    """

    conditions: Conditions
    run: str
    source: Place
    target: Place | None
    companions: tuple[Place, ...]

    @property
    def measured(self) -> Place:
        """What the method is measured on."""
        return self.target or self.source

    @property
    def used(self) -> tuple[str, ...]:
        """The datasets that it is trained and measured on, as bench names them."""
        return tuple(place.text for place in (self.source, self.target) if place is not None)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Which datasets stand in for others, in words."""
        places = (self.source, self.target, *self.companions)
        return tuple(place.in_words for place in places if place is not None and place.stands_in)


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

    def locate(self, conditions: Conditions, run: str) -> Located:
        """The data of an entry of a paper's table.

        Raises
        ------
        MissingDataError
            Some of it is not there.
        """
        others = [self.find(name) for name in _PLACEHOLDER.findall(run)]
        target = self.find(conditions.target, target=True) if conditions.target else None
        places = [self.find(conditions.dataset), target, *others]
        gaps = [place for place in places if isinstance(place, Gap)]
        if gaps:
            raise MissingDataError(gaps)
        source, target, *companions = (place for place in places if not isinstance(place, Gap))
        assert source is not None
        for place in filter(None, companions):
            run = run.replace(f"{{{place.dataset}}}", place.placed)
        conditions = replace(conditions, protocol=self.protocol(conditions.protocol, source))
        return Located(conditions, run, source, target, tuple(filter(None, companions)))

    def find(self, dataset: str, target: bool = False) -> Place | Gap:
        """What stands for a dataset of a paper; ``target``: in its role under protocol cross."""
        name, bracket, params = dataset.partition("[")
        paper = paper_dataset(name)
        plugin = self._plugin_for(paper)
        text = plugin + bracket + params if plugin else ""
        if plugin:
            self._check_kind(paper, plugin)
            root = self._root_of(name) or self._root_of(parse_part(plugin).name)
            if root is not None or self._embedded(plugin):
                return Place(dataset, text, root, stands_in=False)
        kind = self._kind(text) if text else paper.kind
        fitting = [stand_in for stand_in in self.stand_ins if self._kind(stand_in) == kind]
        if fitting:
            return self._standing_in(dataset, fitting, target)
        return Gap(dataset, _how_to_get(paper, plugin))

    def protocol(self, name: str, place: Place) -> str:
        """How a place is divided: as specified, but a stand-in with its own split by that one.

        A random holdout would put copies of a face on both sides where a dataset holds some.
        """
        own = self._plugin(place.text).protocols
        return own[0] if place.stands_in and name.startswith("holdout") and own else name

    def _standing_in(self, dataset: str, fitting: Sequence[str], target: bool) -> Place:
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
        return Place(dataset, text, root, stands_in=True)

    def _plugin_for(self, paper: PaperDataset) -> str:
        """The plug-in that reads a paper's dataset; empty without one."""
        return paper.name if paper.name in self.registry.datasets else paper.plugin

    def _check_kind(self, paper: PaperDataset, plugin: str) -> None:
        if self._kind(plugin) != paper.kind:
            file = dataset_spec(self.registry, plugin).entry.file
            raise BenchError(
                f"{paper.name} is of kind {paper.kind} in the papers, and the plug-in in {file} of "
                f"kind {self._kind(plugin)}: give the class another name, or kind = {paper.kind!r}"
            )

    def _root_of(self, name: str) -> Path | None:
        if name in self.roots:
            return self.roots[name]
        base = os.environ.get("BENCH_DATA")
        folder = Path(base) / name if base else None
        return folder if folder is not None and folder.is_dir() else None

    def _plugin(self, text: str) -> type[Dataset]:
        plugin = dataset_spec(self.registry, text).entry.load()
        assert issubclass(plugin, Dataset)
        return plugin

    def _embedded(self, text: str) -> bool:
        return bool(text) and bool(self._plugin(text).embedded)

    def _kind(self, text: str) -> str:
        """The kind of the faces that a dataset gives, parameters included."""
        return kind_with(self._plugin(text).kind, dataset_spec(self.registry, text).params)


def _how_to_get(paper: PaperDataset, plugin: str) -> str:
    if not plugin:
        return f"{paper.name} is not here: bench has no loader for it yet. {paper.obtain}"
    give = f"Give its folder with --root {paper.name}=DIR."
    return f"{paper.name} is not here: {paper.obtain} {give}"


def roots_of(texts: Iterable[str]) -> dict[str, Path]:
    """Folders from ``NAME=DIR`` texts.

    Raises
    ------
    BenchError
        One that reads otherwise, or a name that stands twice.
    """
    roots: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise BenchError(f"--root {text}: write --root NAME=DIR, as --root raf-ml=DIR")
        if name in roots:
            raise BenchError(f"--root {name}=…: {name} stands twice")
        roots[name] = Path(folder).expanduser()
    return roots
