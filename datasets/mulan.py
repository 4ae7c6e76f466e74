"""MULAN's multi-label datasets: ARFF tables with precomputed features, XML lists of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bench.datasets._arff import Arff, features_and_labels, read_arff, read_label_names

from bench.api import TEST, TRAIN, BenchError, Dataset, FaceSet
from bench.data.marker import is_synthetic


class Mulan(Dataset):
    """Any dataset in the format of the MULAN library, ``mulan:yeast`` for example.

    G. Tsoumakas, E. Spyromitros-Xioufis, J. Vilcek and I. Vlahavas, "MULAN: a Java library for
    multi-label learning", JMLR 12 (2011) 2411–2414.

    Reads NAME-train.arff, NAME-test.arff and NAME.xml, the list of labels; without the last, the
    labels that MEKA's ``-C n`` in @relation counts (the first n attributes, or the last where n is
    negative). Protocols other than ``official`` (``cv10``,
    say) take the rows of NAME.arff where there is one, else those of train and test, in this
    order. Labels stand in the ARFF file's order. Features are precomputed: use ``identity``.
    """

    name = "mulan:"
    kind = "multi"
    protocols = ("official",)
    obtain = (
        "mulan.sourceforge.net/datasets-mlc.html, or data/multi-label of "
        "github.com/tsoumakas/mulan. Give --root the folder that holds the .arff and .xml files."
    )

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        """Read the files that belong to the protocol.

        Raises
        ------
        BenchError
            Where a file is absent, cannot be read, or train and test differ in their attributes.
        """
        folder, name = self._place(root)
        files = _files(folder, name, official=protocol in ("", *self.protocols))
        tables = [read_arff(path) for path in files.values()]
        label_names, counted = _labels(folder / f"{name}.xml", tables[0])
        _same_attributes(tables)
        parts = [features_and_labels(table, label_names) for table in tables]
        sizes = [len(part.labels) for part in parts]
        split = np.repeat(np.array([TRAIN, TEST], np.int8), sizes) if len(parts) == 2 else None
        return FaceSet(
            name=f"mulan:{name}",
            kind="multi",
            label_names=parts[0].label_names,
            ids=np.array(
                [
                    f"{part}-{row}"
                    for part, size in zip(files, sizes, strict=True)
                    for row in range(1, size + 1)
                ]
            ),
            labels=np.concatenate([part.labels for part in parts]),
            features=np.concatenate([part.features for part in parts]),
            split=split,
            synthetic=is_synthetic(folder),
            notes=(f"rows from {' then '.join(path.name for path in files.values())}", *counted),
        )

    def _place(self, root: Path | None) -> tuple[Path, str]:
        """The folder of the files, and what their names begin with."""
        name = self.member or ""
        # The name becomes part of file names: it must not lead out of the root.
        if not name or name != Path(name).name or "\\" in name or "\0" in name:
            raise BenchError(f"mulan:{name}: write mulan:NAME with the files' name, mulan:yeast")
        if root is None or not root.is_dir():
            raise BenchError(
                f"mulan:{name}: there is no folder {root}; give --root the folder of {name}.xml"
            )
        return root, name


def _files(folder: Path, name: str, official: bool) -> dict[str, Path]:
    """The tables to read by part: ``train`` and ``test``, or ``whole``.

    The fixed parts where the protocol is official, else the whole table; the other where one is
    absent.
    """
    whole = folder / f"{name}.arff"
    fixed = {part: folder / f"{name}-{part}.arff" for part in ("train", "test")}
    has_fixed = all(path.is_file() for path in fixed.values())
    if whole.is_file() and not (official and has_fixed):
        return {"whole": whole}
    if has_fixed:
        return fixed
    raise BenchError(
        f"{folder} holds neither {fixed['train'].name} with {fixed['test'].name} nor {whole.name}; "
        "give --root the folder that does"
    )


def _labels(listed: Path, table: Arff) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels that MULAN's XML file lists, else those that MEKA counts, which a note says."""
    if listed.exists():
        return read_label_names(listed), ()
    labels = table.meka_labels()
    if labels is None:
        raise BenchError(
            f"{listed} does not exist: it lists the labels, each as <label name="
            f'"ATTRIBUTE"></label> within <labels>; or write -C n into @relation of '
            f"{table.path.name}, where the first n attributes are the labels (-n: the last)"
        )
    return labels, (f"{len(labels)} labels by -C in @relation of {table.path.name}",)


def _same_attributes(tables: list[Arff]) -> None:
    """Refuse tables that differ in their attributes."""
    first, *others = tables
    for table in others:
        if len(table.attributes) != len(first.attributes):
            raise BenchError(
                f"{table.path} has {len(table.attributes)} attributes, {first.path.name} has "
                f"{len(first.attributes)}; train and test must be of one dataset"
            )
        for own, other in zip(first.attributes, table.attributes, strict=True):
            if own != other:
                raise BenchError(
                    f"{table.path}: the attribute {other.name!r} is {own.name!r} or of another "
                    f"type in {first.path.name}; train and test must be of one dataset"
                )
