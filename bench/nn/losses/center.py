"""The center loss: each deep feature near the centre of its class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bench.api import InputError


def check(features: Tensor, centres: Tensor, classes: Tensor) -> None:
    """Raise `InputError` where features, centres and classes do not belong together.

    Half precision is refused: squared distances between features that are close lose all digits.
    """
    if not len(features) or features.shape != (len(classes), centres.shape[1]):
        raise InputError(
            f"class centres of {centres.shape[1]} numbers got features {tuple(features.shape)} and "
            f"{len(classes)} classes; give at least one row, and one class to each row"
        )
    if features.dtype != centres.dtype or features.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"features are {features.dtype} and class centres {centres.dtype}; give both in full "
            "precision, float32 or float64"
        )


def center(features: Tensor, centres: Tensor, classes: Tensor) -> Tensor:
    """(1/2n) Σ_i ‖x_i − c_{y_i}‖², the centres being constants.

    Y. Wen et al., ECCV 2016, Eq. 2, which sums over the batch. Here it is the mean, as the softmax
    cross-entropy beside it is: a sum would grow with the batch size, and λ with it. A weight λ on
    the sum is n λ here. The gradient is (x_i − c_{y_i})/n, the paper's Eq. 3 over n.

    Parameters
    ----------
    features : float32 or float64 (n, d)
    centres : float (C, d)
        Of the same precision.
    classes : int64 (n,)
        In [0, C).

    Returns
    -------
    float ()

    Raises
    ------
    InputError
        Shapes that do not belong together, no row, half precision.
    """
    check(features, centres, classes)
    # index_select, unlike an index in brackets, refuses negative classes.
    own = centres.detach().index_select(0, classes)
    return (features - own).square().sum() / (2 * len(features))


def center_step(features: Tensor, centres: Tensor, classes: Tensor) -> Tensor:
    """Σ_i δ(y_i = j)(c_j − x_i) / (1 + n_j), n_j the number of rows of class j, for each centre.

    Y. Wen et al., ECCV 2016, Eq. 4: α times this is taken off the centres. Zero for classes that
    the batch lacks. Parameters and errors as in `center`; returns float (C, d).
    """
    check(features, centres, classes)
    member = one_hot(classes, len(centres)).to(centres.dtype)
    count = member.sum(dim=0)[:, None]
    apart = centres.index_select(0, classes) - features
    return member.T @ apart / (1 + count)
