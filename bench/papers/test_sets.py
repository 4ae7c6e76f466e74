"""Whether something was measured on the test set that a printed number is of: its size, its rule.

A dataset's name says too little: FER+ has another test part by each rule that reads its votes, and
of one dataset papers take other frames, other photographs and other folds.
"""

from __future__ import annotations

from bench.papers.files import protocols
from bench.papers.margins import images_of
from bench.papers.measured import Measured
from bench.papers.published import Number
from bench.publish.rows import Row

_ROUNDING = 1  # images by which two ways to cut a percentage of a dataset differ


def unlike_test_set(number: Number, measured: Measured) -> str:
    """How the test set differs from the printed number's; "" where it fits, or none is known.

    Parameters
    ----------
    number : Number
        Its ``protocol`` (`results/published/protocols.toml`) says which test set is meant.
    measured : Measured
        With the cells behind its value.
    """
    protocol, row = protocols().get(number.protocol), measured.row
    if protocol is None or row is None:
        return ""
    if protocol.unlike:
        return protocol.unlike
    sizes = {record.cell.split_hash: record.cell.n_test for record in row.records}
    if protocol.folds is not None:
        whole = images_of(number)
        if row.cell.split.startswith("fold") and "fold=" in number.variant:
            return ""  # one fold of a cross-validation: its size depends on where folds are cut
        repetitions = len({repetition(record.cell.split) for record in row.records})
        if len(sizes) != protocol.folds * repetitions:
            return f"measured over {len(sizes)} splits, printed over {protocol.folds} folds"
        return _other_size(sum(sizes.values()) // repetitions, whole)
    (size,) = sizes.values() if len(sizes) == 1 else (None,)
    if size is None:
        return f"measured over {len(sizes)} splits, printed for one test part"
    if protocol.sizes:
        return _other_rule(size, measured.used[-1] if measured.used else "", protocol.sizes)
    if protocol.classes and (unlike := _other_classes(row, protocol.classes)):
        return unlike
    if protocol.test is not None:
        return _other_size(size, protocol.test)
    whole = images_of(number)
    if protocol.percent is not None and whole is not None:
        return _other_size(size, round(whole * protocol.percent / 100), _ROUNDING)
    return _other_size(size, whole) if protocol.counts else ""


def repetition(split: str) -> str:
    """What the folds of one repetition have in common in their names; "" where there is one."""
    return split.partition("fold")[0]


def _other_size(size: int, wanted: int | None, rounding: int = 0) -> str:
    if wanted is None or abs(size - wanted) <= rounding:
        return ""
    return f"measured on {size:,} test images, printed for {wanted:,}"


def _other_rule(size: int, used: str, sizes: dict[str, int]) -> str:
    """Of a print that fits several test sets: whether this is one of them, by its own rule."""
    known = " or ".join(f"{n:,}" for n in sorted(set(sizes.values())))
    if size not in sizes.values():
        return f"measured on {size:,} test images, printed for {known}"
    if sizes.get(used) != size:
        rules = " or ".join(name for name, n in sizes.items() if n == size)
        return f"measured by the labels of {used}, and {size:,} test images are printed of {rules}"
    return ""


def _other_classes(row: Row, classes: dict[str, int]) -> str:
    """Whether the test part has other numbers of images of a class: another label rule."""
    if not row.ok or not row.ok[0].confusion:
        return ""
    confusion, names = row.ok[0].confusion, row.ok[0].cell.label_names
    counts = {name: sum(line) for name, line in zip(names, confusion, strict=True)}
    for name, wanted in classes.items():
        if counts.get(name, 0) != wanted:
            return f"{counts.get(name, 0):,} test images of {name}, printed for {wanted:,}"
    return ""
