"""What an embedding looks like, in numbers: for figures that papers draw of it."""

from __future__ import annotations

import torch
from torch import Tensor

_NEIGHBOURS = 10
_AT_ONCE = 512  # rows whose distances to all others are held at a time


def neighbour_agreement(embedding: Tensor, labels: Tensor) -> float | None:
    """How like the labels of a face are to those of its ten nearest neighbours in the embedding.

    The mean over faces and neighbours of the Jaccard index of the two label sets (1 where both are
    empty), for the pictures of embeddings in RAF-ML's Figure 6. In [0, 1]; what faces drawn at
    random give depends on the dataset, so that only networks on one test part compare.

    Parameters
    ----------
    embedding : float (n, d)
    labels : bool (n, L)

    Returns
    -------
    float or None
        None for fewer than two faces.
    """
    if len(embedding) < 2:
        return None
    count = min(_NEIGHBOURS, len(embedding) - 1)
    sets, found = labels.float(), []
    for rows in torch.arange(len(embedding)).split(_AT_ONCE):
        distances = torch.cdist(embedding[rows], embedding)
        distances[torch.arange(len(rows)), rows] = torch.inf  # not the face itself
        near = sets[distances.topk(count, largest=False).indices]
        own = sets[rows][:, None]
        both, either = torch.minimum(own, near).sum(2), torch.maximum(own, near).sum(2)
        found.append(torch.where(either > 0, both / either.clamp(min=1), 1.0).mean(1))
    return float(torch.cat(found).mean())


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
