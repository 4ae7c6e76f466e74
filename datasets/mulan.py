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

    Reads NAME-train.arff, NAME-test.arff and NAME.xml. Protocols other than ``official`` (``cv10``,
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
        """Read the files that the protocol is about.

        Raises
        ------
        BenchError
            Where a file is absent, cannot be read, or train and test differ in their attributes.
        """
        member = self.member or ""
        # The name becomes part of file names: it must not lead out of the root.
        if not member or member != Path(member).name or "\\" in member or "\0" in member:
            raise BenchError(f"mulan:{member}: write mulan:NAME with the files' name, mulan:yeast")
        if root is None or not root.is_dir():
            raise BenchError(
                f"mulan:{member}: there is no folder {root}; give --root the folder of {member}.xml"
            )
        whole = root / f"{member}.arff"
        fixed = {
            "train": root / f"{member}-train.arff",
            "test": root / f"{member}-test.arff",
        }
        has_fixed = all(path.is_file() for path in fixed.values())
        if whole.is_file() and (protocol not in ("", *self.protocols) or not has_fixed):
            parts = {"whole": whole}
        elif has_fixed:
            parts = fixed
        else:
            raise BenchError(
                f"{root} holds neither {fixed['train'].name} with {fixed['test'].name} nor "
                f"{whole.name}; give --root the folder that does"
            )
        names = read_label_names(root / f"{member}.xml")
        tables = [read_arff(path) for path in parts.values()]
        _same_attributes(tables)
        read = [features_and_labels(table, names) for table in tables]
        split = np.repeat(np.array([TRAIN, TEST], np.int8), [len(table.data) for table in tables])
        return FaceSet(
            name=f"mulan:{member}",
            kind="multi",
            label_names=read[0][3],
            ids=np.array(
                [
                    f"{part}-{row}"
                    for part, table in zip(parts, tables, strict=True)
                    for row in range(1, len(table.data) + 1)
                ]
            ),
            labels=np.concatenate([labels for _, labels, _, _ in read]),
            features=np.concatenate([features for features, _, _, _ in read]),
            split=split if parts is fixed else None,
            synthetic=is_synthetic(root),
            notes=(f"rows from {' then '.join(path.name for path in parts.values())}",),
        )


def _same_attributes(tables: list[Arff]) -> None:
    first, *others = tables
    for table in others:
        if len(table.attributes) != len(first.attributes):
            raise BenchError(
                f"{table.path} has {len(table.attributes)} attributes, {first.path.name} has "
                f"{len(first.attributes)}; train and test must be of one dataset"
            )
        for mine, its in zip(first.attributes, table.attributes, strict=True):
            if mine != its:
                raise BenchError(
                    f"{table.path}: the attribute {its.name!r} is {mine.name!r} or of another "
                    f"type in {first.path.name}; train and test must be of one dataset"
                )
