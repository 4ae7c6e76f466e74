"""Asking a network about faces: in batches, by the centre crop or the mean of ten crops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.api import BenchError, FaceSet
from bench.nn.faces import Pixels, ten_crop
from bench.nn.hooks import NetworkHooks
from bench.nn.output import Output

_AT_ONCE = 128  # images
_VIEWS = 10  # of a ten-crop


def predict(
    network: NetworkHooks, model: nn.Module, faces: FaceSet, pixels: Pixels, averaged: str = ""
) -> Output:
    """What a model gives for faces, in full precision and evaluation mode, on the device.

    Parameters
    ----------
    model : nn.Module
        The network's, or a part that gives `Output` too.
    pixels : Pixels
        The network's `NetworkHooks.keep` of the faces.
    averaged : {"", "logits", "softmax"}
        What is averaged over ten crops, as `NetworkHooks.ten_crop` says; "": the centre alone.

    Raises
    ------
    BenchError
        The images have other channels than those of training.
    """
    if pixels.channels != network.channels_:
        raise BenchError(
            f"{network.name} was trained on images of {network.channels_} channel(s) and got "
            f"{pixels.channels}; take the same for both"
        )
    model.eval()
    batches = []
    step = _AT_ONCE // _VIEWS if averaged else _AT_ONCE
    with torch.inference_mode():
        for start in range(0, max(len(faces), 1), step):
            rows = torch.arange(start, min(start + step, len(faces)))
            taken = pixels.take(rows)
            if averaged:
                batches.append(_over_ten_crops(network, model, taken, averaged))
            else:
                batches.append(model(network.inputs(taken, faces, rows, None)))
        columns = zip(*batches, strict=True)
        return Output(*(None if parts[0] is None else torch.cat(parts) for parts in columns))


def _over_ten_crops(
    network: NetworkHooks, model: nn.Module, pixels: Tensor, averaged: str
) -> Output:
    """Mean embeddings and logits over the ten crops of uint8 (b, H, W, C)."""
    views = ten_crop(pixels.permute(0, 3, 1, 2), network.recipe.size)
    out: Output = model(network.normalised(views.flatten(0, 1)))
    logits = out.logits.unflatten(0, (len(pixels), _VIEWS))
    if averaged == "softmax":
        # The logarithm of the summed probabilities: the softmax of these logits is the mean of the
        # ten views' probabilities.
        logits = logits.log_softmax(dim=2).logsumexp(dim=1)
    else:
        logits = logits.mean(dim=1)
    return Output(out.embedding.unflatten(0, (len(pixels), _VIEWS)).mean(dim=1), logits)
