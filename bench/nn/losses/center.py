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

    Y. Wen et al., ECCV 2016, Eq. 2, which sums over the batch. Here the loss is the mean, as the
    softmax cross-entropy beside it is: a sum grows with the batch size, so that the fitting λ would
    depend on it. A weight λ on the sum is n λ here. The gradient is (x_i − c_{y_i})/n, the paper's
    Eq. 3 divided by n.

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
        Shapes do not belong together, there is no row, or the precision is half.
    """
    check(features, centres, classes)
    # index_select, unlike an index in brackets, refuses negative classes.
    own = centres.detach().index_select(0, classes)
    return (features - own).square().sum() / (2 * len(features))


def center_step(features: Tensor, centres: Tensor, classes: Tensor) -> Tensor:
    """Σ_i δ(y_i = j)(c_j − x_i) / (1 + n_j), n_j the number of rows of class j, for each centre.

    Y. Wen et al., ECCV 2016, Eq. 4: α times this is taken off the centres. It is zero for classes
    that the batch lacks. Parameters and errors are those of `center`; the step is float (C, d).
    """
    check(features, centres, classes)
    member = one_hot(classes, len(centres)).to(centres.dtype)
    count = member.sum(dim=0)[:, None]
    offsets = centres.index_select(0, classes) - features
    return member.T @ offsets / (1 + count)
