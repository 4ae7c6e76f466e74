"""C4.5 decision trees, grown as Weka's J48 grows them; the base of `rakel`, `clr` and `br`.

A folder of its own within `bench.learn`, since the compiled code is long: `presort` sorts the
features once for all trees, `grow` and `prune` are the two halves of the algorithm, `tree` puts
them together. What others use is named here.
"""

from bench.learn.c45.presort import Presorted
from bench.learn.c45.tree import C45, Tree, grow

__all__ = ["C45", "Presorted", "Tree", "grow"]
