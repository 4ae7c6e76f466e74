"""What a claim sets against one another: two sides, each a method under a table's conditions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """The cells of one method under the conditions that a paper's table has for a dataset.

    Where the table has no such dataset, its conditions with that dataset are meant.
    """

    table: str
    dataset: str
    run: str


@dataclass(frozen=True)
class Side:
    """One side of a contrast.

    Attributes
    ----------
    metric : str
        As `bench.papers.reading.read` takes it.
    fold : int
        0: the mean over splits.
    over : str
        A method whose value is subtracted: the side is a gain.
    """

    need: Need
    metric: str
    fold: int = 0
    over: str = ""

    @property
    def needs(self) -> tuple[Need, ...]:
        """The method, and the one that it is a gain over."""
        runs = (self.need.run, self.over) if self.over else (self.need.run,)
        return tuple(Need(self.need.table, self.need.dataset, run) for run in runs)

    def __str__(self) -> str:
        fold = f" (fold {self.fold})" if self.fold else ""
        return self.need.run + (f" over {self.over}" if self.over else "") + fold


@dataclass(frozen=True)
class Contrast:
    """Two sides that a claim sets against one another.

    Attributes
    ----------
    sign : int
        1: the left value should be larger; -1: smaller; 0: equal.
    group : str
        What it counts for together with others, such as a class; "": for itself.
    counted : bool
        Whether the claim's verdict hangs on it.
    """

    left: Side
    right: Side
    sign: int
    group: str = ""
    counted: bool = True

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right."""
        return self.left, self.right

    @property
    def paired(self) -> bool:
        """Whether both sides are measured on the same images."""
        return self.left.need.dataset == self.right.need.dataset
