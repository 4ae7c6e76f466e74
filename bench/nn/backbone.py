"""Backbone: a frozen network whose layer gives a face's vector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.api import BenchError, FaceInput, FaceSet, Features, param
from bench.data.files import sha256_once
from bench.nn.device import find_device
from bench.nn.weights import (
    RANDOM_SEED,
    find_weights,
    hub_file,
    load_weights,
    random_weights,
)

# Images at once. On a processor more of them are no faster and take memory (VGG-16: 1.8 GB in all).
BATCH, BATCH_GPU = 16, 256

_fitting: set[tuple[Any, ...]] = set()  # files that planning has tried, by method and hash


@dataclass(frozen=True)
class Pixels:
    """The images that a network's weights were trained on.

    Attributes
    ----------
    size : (int, int)
        Height and width in pixels.
    mean, std : tuple of float
        Of red, green and blue in [0, 1]; ImageNet's unless stated otherwise.
    interpolation : {"bilinear", "bicubic"}
    """

    size: tuple[int, int]
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"


@dataclass(frozen=True)
class _Ready:
    """A network on its device, and what it was made from."""

    made_from: str
    network: nn.Module
    pixels: Pixels
    device: torch.device
    parameters: int


class Backbone(Features):
    """Base of features that a frozen, pretrained network gives.

    A subclass says where its published weights lie (`published`), makes the network that ends in
    the wanted layer (`network`) and names that layer (`layer_taken`). Faces come in their native
    size; each batch is resized (antialiased, the whole face, no crop) and normalised on the device.
    The network computes in float32 and evaluation mode, without TF32. ``weights=random`` always
    means the same network (one fixed seed), so that nothing here depends on ``--seeds``.
    """

    accelerated = True
    stateless = True
    input = FaceInput(colour="rgb")

    weights: str = param(
        "imagenet",
        help="imagenet (from the local cache), random (untrained), or the path of a .pth, .pt or "
        ".safetensors file",
    )

    _ready: _Ready | None = None

    def published(self) -> Path:
        """The file of ``weights=imagenet``; `UnavailableError` where it is not on this machine."""
        raise NotImplementedError

    def network(self, path: Path | None) -> nn.Module:
        """The network from normalised faces, float32 (n, 3, H, W), to vectors (n, d).

        Its weights are those of the file; None: untrained ones from ``RANDOM_SEED``. Raises
        `BenchError` for a file of another architecture.
        """
        raise NotImplementedError

    def pixels(self, network: nn.Module) -> Pixels:
        """The images that the network wants."""
        raise NotImplementedError

    def layer_taken(self) -> str:
        """The layer whose output is the vector, in words."""
        raise NotImplementedError

    def _name(self) -> str:
        return self.name + (self.member or "")

    def _file(self) -> Path | None:
        return find_weights(self.weights, self._name(), self.published)

    def weights_used(self) -> str:
        """SHA-256 of the weights, or ``random``; a file given by its path is tried here."""
        path = self._file()
        if path is None:
            return "random"
        digest = sha256_once(path)
        tried = (type(self), repr(self.get_params()), digest)
        if self.weights != "imagenet" and tried not in _fitting:
            self.network(path)  # a wrong file should stop the command, not its last cell
            _fitting.add(tried)
        return digest

    def transform(self, faces: FaceSet) -> np.ndarray:
        """The layer's output, float32 (n, d), for uint8 (n, H, W, 3) of any size.

        Raises
        ------
        UnavailableError
            The published weights are not on this machine.
        BenchError
            Grey images; weights that do not fit; a GPU that is not there.
        """
        images = self._checked(faces)
        ready = self._prepared()
        if not len(images):  # one black face tells d
            return self._vectors(np.zeros((1, 8, 8, 3), np.uint8), ready)[:0]
        return self._vectors(images, ready)

    def _checked(self, faces: FaceSet) -> np.ndarray:
        images = faces.images
        if images is None:
            raise BenchError(f"{faces.name} holds precomputed features: {self._name()} needs faces")
        if images.ndim != 4:  # that they are uint8 a FaceSet makes sure
            raise BenchError(
                f"{faces.name}: images must be rgb (n, H, W, 3), not {images.shape}; "
                "bench.data.prepare repeats grey three times"
            )
        if 0 in images.shape[1:]:
            raise BenchError(f"{faces.name}: images of {images.shape[1:3]} pixels hold nothing")
        return images

    def _prepared(self) -> _Ready:
        """The network, loaded on first use and kept for the next chunk."""
        device = find_device(self.setting.device)
        wanted = f"{self.get_params()} {device}"
        if self._ready is None or self._ready.made_from != wanted:
            network = self.network(self._file()).eval().requires_grad_(False)
            pixels = self.pixels(network)
            count = sum(one.numel() for one in network.parameters())
            network = network.to(device, memory_format=torch.channels_last)
            self._ready = _Ready(wanted, network, pixels, torch.device(device), count)
        return self._ready

    def _vectors(self, images: np.ndarray, ready: _Ready) -> np.ndarray:
        batch = BATCH if ready.device.type == "cpu" else BATCH_GPU
        found = []
        with torch.inference_mode(), _plain_float32(ready.device):
            for start in range(0, len(images), batch):
                # np.array: a copy that may be written to, which torch asks for.
                part = torch.from_numpy(np.array(images[start : start + batch]))
                vectors = ready.network(_normalised(part.to(ready.device), ready.pixels))
                if vectors.ndim != 2:
                    raise BenchError(
                        f"{self._name()} gives an output of shape {tuple(vectors.shape)} and no "
                        "vectors; take another network"
                    )
                found.append(vectors.float().cpu().numpy())
        return np.concatenate(found)

    def remarks(self) -> tuple[str, ...]:
        """Weights, layer, input and size of the network, once it was loaded."""
        if self._ready is None:
            return ()
        path, (height, width) = self._file(), self._ready.pixels.size
        if path is None:
            weights = f"random weights of seed {RANDOM_SEED}"
        else:
            weights = f"weights {path.name} (SHA-256 {sha256_once(path)[:8]}…)"
        return (
            f"{self._name()}: {weights}; {self.layer_taken()}; input {height} x {width} pixels; "
            f"{self._ready.parameters:,} parameters; float32",
        )


def _normalised(images: torch.Tensor, pixels: Pixels) -> torch.Tensor:
    """Uint8 (n, H, W, 3) as the network wants it: float32 (n, 3, h, w), channels last."""
    x = images.permute(0, 3, 1, 2).float().div_(255)
    if tuple(x.shape[2:]) != pixels.size:
        x = functional.interpolate(
            x, pixels.size, mode=pixels.interpolation, align_corners=False, antialias=True
        )
        x = x.clamp_(0, 1)  # the bicubic filter overshoots
    mean, std = (x.new_tensor(one)[:, None, None] for one in (pixels.mean, pixels.std))
    return x.sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)


class FullyConnected(Backbone):
    """A layer of torchvision's networks that end in fully connected ones, after its ReLU.

    Class attributes
    ----------------
    model : callable
        torchvision's own.
    url : str
        Of the weights trained on ImageNet.
    cut : dict of str to int
        Layers of its ``classifier`` up to the ReLU behind each.
    """

    model: ClassVar[Any]
    url: ClassVar[str]
    cut: ClassVar[dict[str, int]]
    small = {"weights": "random", "side": 64}

    layer: str = param("fc7", choices=("fc7", "fc6"), help="fully connected layer, after its ReLU")
    side: int = param(224, ge=64, help="pixels that a face is resized to; 224 as in training")

    def published(self) -> Path:
        """torchvision's file in torch.hub's folder."""
        return hub_file(self.url, self.name)

    def network(self, path: Path | None) -> nn.Module:
        """torchvision's network up to the layer; the 1000-way head may be missing or another."""
        with torch.device("meta"):
            made: Any = self.model()
        made.classifier = made.classifier[:-1]
        if path is None:
            random_weights(made)
        else:
            load_weights(path, made, self.name, unused=("classifier.6.",))
        made.classifier = made.classifier[: self.cut[self.layer]]
        return made  # type: ignore[no-any-return]

    def pixels(self, network: nn.Module) -> Pixels:
        """Square, with ImageNet's mean and deviation, bilinear as torchvision's own transform."""
        return Pixels((self.side, self.side))

    def layer_taken(self) -> str:
        """``fc7 after ReLU``."""
        return f"{self.layer} after ReLU"


@contextmanager
def _plain_float32(device: torch.device) -> Iterator[None]:
    """Kernels that repeat, and no TF32 (10 bits of mantissa), which cuDNN takes by default."""
    if device.type == "cpu":
        yield
        return
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, False
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        matmul.allow_tf32 = before
