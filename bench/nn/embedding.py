"""What an embedding looks like, in numbers: for figures that papers draw of it."""

from __future__ import annotations

import torch
from torch import Tensor


def class_distance(embedding: Tensor, labels: Tensor) -> float | None:
    """How far apart classes lie, for the pictures in LBAN-IL's Figure 5.

    The mean distance between the means of two classes, divided by the mean distance of a face to
    the mean of its class: no scale, higher where classes are islands.

    Parameters
    ----------
    embedding : float (n, d)
    labels : bool (n, L)
        One class per row.

    Returns
    -------
    float or None
        None with fewer than two classes, or where every face lies on its class's mean.
    """
    classes = labels.float().argmax(dim=1)
    present = classes.unique()
    if len(present) < 2:
        return None
    means = torch.stack([embedding[classes == one].mean(dim=0) for one in present])
    own = means[torch.searchsorted(present, classes)]
    within = (embedding - own).norm(dim=1).mean()
    between = torch.pdist(means).mean()
    return float(between / within) if within > 0 else None
