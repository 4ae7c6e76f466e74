"""The datasets that a run reads: its own, its target, and those that methods name."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError, Dataset, FaceSet, Features
from bench.data import mapping
from bench.data.images import darkness
from bench.data.mapping import onto, unlabelled
from bench.data.protocols import Fold, default_protocol, twins
from bench.plugins import Registry
from bench.run.code import code_hash
from bench.run.contract import blame_faults, sentences
from bench.run.grammar import parse_part, split_outside
from bench.run.index import FaceIndex, identity
from bench.run.methods import Spec, dataset_spec
from bench.run.printable import printable

PEOPLE = "people"


@dataclass(frozen=True, eq=False)
class Source:
    """One dataset as it was read.

    Attributes
    ----------
    root : Path or None
        None for an embedded dataset.
    indexed : bool
        Whether what follows from its faces may be kept in the index.
    """

    spec: Spec
    dataset: Dataset
    root: Path | None
    faces: FaceSet
    indexed: bool = True

    @cached_property
    def public_name(self) -> str:
        """Its name in records: without a folder, with what tells it from others of the name."""
        mark = "" if self.root is None else f"@{self.faces.fingerprint[:8]}"
        return self.spec.written + mark

    def about(self) -> dict[str, Any]:
        """What a record says of it."""
        faces = self.faces
        return {
            "dataset": self.spec.written,
            "fingerprint": faces.fingerprint,
            "synthetic": faces.synthetic,
            "n": len(faces),
        }


class Sources:
    """Reads datasets by their text, each once."""

    def __init__(self, registry: Registry, index: FaceIndex | None = None) -> None:
        self.registry = registry
        self.index = FaceIndex() if index is None else index
        self.placed_: dict[str, Source] = {}

    def named(self, text: str, root: Path | None = None, protocol: str | None = None) -> Source:
        """The dataset that ``--dataset`` names, which lies at ``root``."""
        spec = dataset_spec(self.registry, text)
        dataset: Dataset = spec.plugin
        place = find_root(spec, root)
        protocol = protocol or default_protocol(dataset)

        def read() -> FaceSet:
            with blame_faults(spec.name, "load"):
                faces = _plain(spec.name, dataset.load(place, protocol))
            _check_names(faces)
            if not len(faces):
                what = "row" if faces.images is None else "image"
                raise BenchError(f"{spec.written} holds no {what}")
            dark = None if faces.images is None else darkness(faces.images, faces.ids)
            return faces if dark is None else faces.noted(*faces.notes, dark)

        if place is None and not self.index.is_there():
            self.index = FaceIndex()  # a dry run of rendered faces makes no results folder
        known = identity(spec.entry, place)
        if known is None:
            return Source(spec, dataset, place, read(), indexed=False)
        parts = {"dataset": spec.name, "params": spec.params, "protocol": protocol, **known}
        return Source(spec, dataset, place, self.index.faces(read, **parts))

    def findings(self, source: Source) -> tuple[str, ...]:
        """Where the counts of a dataset differ from the published ones."""
        if not source.indexed:
            return _findings(source, source.faces)
        return tuple(
            self.index.value(
                lambda: _findings(source, self.index.sound(source.faces)),
                findings=source.faces.fingerprint,
                dataset=source.spec.name,
                params=source.spec.params,
                code=code_hash([source.spec.entry.file]),
            )
        )

    def twins(self, faces: FaceSet, fold: Fold) -> int | None:
        """`bench.data.protocols.twins`, counted once."""
        return self.index.value(
            lambda: twins(self.index.sound(faces), fold),
            twins=faces.fingerprint,
            split=fold.hash,
        )

    def mapped(self, training: FaceSet, measured: FaceSet) -> tuple[FaceSet, tuple[int, ...], str]:
        """`bench.data.mapping.onto`: the measured faces with the labels that both have."""
        result = cache(lambda: onto(training, self.index.sound(measured)))
        parts = {
            "onto": measured.fingerprint,
            "names": [training.name, measured.name],
            "labels": training.label_names,
            "code": _mapping_code(),
        }
        columns, words = self.index.value(lambda: result()[1:], part="columns", **parts)
        faces = self.index.faces(lambda: result()[0], part="faces", **parts)
        return faces, tuple(columns), words

    def unlabelled(self, faces: FaceSet) -> FaceSet:
        """`bench.data.mapping.unlabelled`."""
        return self.index.faces(
            lambda: unlabelled(self.index.sound(faces)),
            unlabelled=faces.fingerprint,
            code=_mapping_code(),
        )

    def placed(self, text: str, protocol: str | None = None) -> Source:
        """The dataset that ``NAME:DIR``, ``NAME[...]:DIR`` or ``NAME`` names.

        Raises
        ------
        BenchError
            No such dataset or folder, or nothing in it that can be read.
        """
        key = f"{text} {protocol}"
        if key not in self.placed_:
            name, *rest = split_outside(text, ":")
            known = self.registry.datasets
            if rest and f"{parse_part(name).name}:" in known:  # a family: NAME:MEMBER:DIR
                name, rest = f"{name}:{rest[0]}", rest[1:]
            root = Path(":".join(rest)).expanduser() if rest else None
            self.placed_[key] = self.named(name, root, protocol)
        return self.placed_[key]

    def companions(
        self, spec: Spec, method: Features, target: Source | None
    ) -> dict[str, tuple[Source, FaceSet]]:
        """The other datasets that a method learns from, by parameter, with faces as it sees them.

        Parameters
        ----------
        target : Source or None
            Of protocol ``cross``: what ``target`` means where the method leaves it open.

        Raises
        ------
        BenchError
            One that the method needs is not named, or is of a kind that it cannot use.
        """
        companions = {}
        for name, use in method.companions.items():
            source = self._companion(spec, method, name, target)
            if source is None:
                continue
            _check_companion(spec, name, use, source, target)
            faces = self.unlabelled(source.faces) if use == "unlabelled" else source.faces
            companions[name] = source, faces
        return companions

    def _companion(
        self, spec: Spec, method: Features, name: str, target: Source | None
    ) -> Source | None:
        """The dataset that a parameter names; None where the method does without."""
        text = spec.params[name]
        if text is not None:
            return self.placed(text)
        if name == "target" and target is not None:
            return target
        if name in spec.asked("requires", lambda made: tuple(made.requires()), ()):
            raise BenchError(
                f"{spec.name} learns from another dataset: write {spec.name}[{name}=NAME:DIR]"
            )
        return None


def _check_companion(
    spec: Spec, name: str, use: str, source: Source, target: Source | None
) -> None:
    """Raise `BenchError` unless a method can use the dataset that a parameter names."""
    faces, written = source.faces, f"{spec.name}[{name}={spec.params[name]}]"
    if faces.images is None:
        raise BenchError(f"{written}: {faces.name} holds no images")
    if (faces.kind == PEOPLE) != (use == PEOPLE):
        wanted = "says who is seen" if use == PEOPLE else "has expression labels"
        raise BenchError(f"{written}: it takes a dataset that {wanted}, and {faces.name} does not")
    is_target = target is not None and (target.spec, target.root) == (source.spec, source.root)
    if use == "labelled" and is_target:
        raise BenchError(
            f"{written} is the target: a method must not learn the labels that it is asked about; "
            "take another dataset"
        )


def find_root(spec: Spec, root: Path | None) -> Path | None:
    """Where the dataset lies: ``--root``, else ``$BENCH_DATA/<dataset>``; None for an embedded one.

    Raises
    ------
    BenchError
        Neither is given, or it is no folder.
    """
    dataset = spec.entry.load()
    assert issubclass(dataset, Dataset)
    if dataset.embedded:
        if root is not None:
            raise BenchError(f"{spec.name} is made by bench itself: leave --root out")
        return None
    name = spec.entry.name.rstrip(":")
    if root is None:
        base = os.environ.get("BENCH_DATA")
        if not base:
            raise BenchError(
                f"where is {spec.name}? Give its folder with --root DIR, or set BENCH_DATA to a "
                f"folder that holds {name}/. {dataset.obtain}".strip()
            )
        root = Path(base) / name
    if not root.is_dir():
        raise BenchError(
            f"{spec.name}: {root} is no folder; give the unpacked dataset with --root DIR or as "
            f"$BENCH_DATA/{name}. {dataset.obtain}".strip()
        )
    return root.absolute()  # a plug-in may change the working folder


def _findings(source: Source, faces: FaceSet) -> tuple[str, ...]:
    """`Dataset.check`, in sentences."""
    with blame_faults(source.spec.name, "check"):
        found = source.dataset.check(faces)
    return sentences(source.spec.name, "check", found)


def _plain(name: str, faces: Any) -> FaceSet:
    """What a dataset gave, in types that a record can hold and text that a file can hold."""
    if not isinstance(faces, FaceSet):
        raise TypeError(f"a FaceSet expected, got {type(faces).__name__}")
    if not isinstance(faces.synthetic, bool | np.bool_):
        raise TypeError(f"synthetic must be bool, not {type(faces.synthetic).__name__}")
    notes = sentences(name, "notes", faces.notes)
    labels = sentences(name, "label_names", faces.label_names)
    return replace(
        faces,
        name=printable(str(faces.name)),
        notes=notes,
        label_names=labels,
        synthetic=bool(faces.synthetic),
        ids=_texts(faces.ids),
        subject=None if faces.subject is None else _texts(faces.subject),
    )


def _texts(texts: np.ndarray) -> np.ndarray:
    """Names of files and people; bytes that are not UTF-8 are escaped."""
    found = np.asarray(texts)
    if all(printable(str(text)) == str(text) for text in found):
        return texts
    return np.array([printable(str(text)) for text in found])


def _mapping_code() -> str:
    return code_hash([Path(mapping.__file__)], follow=False)


def _check_names(faces: FaceSet) -> None:
    if len(set(map(str, faces.ids))) != len(faces):
        raise BenchError(f"{faces.name}: two rows have one id; a dataset plug-in must not repeat")
    if len(set(faces.label_names)) != len(faces.label_names):
        raise BenchError(f"{faces.name}: a label name stands twice in {faces.label_names}")
