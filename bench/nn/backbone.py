"""Backbone: a frozen, pretrained network, one layer of which gives a face's vector.

Base of the features ``alexnet``, ``vgg16`` and ``timm:NAME``.
"""

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
    Weights,
    find_weights,
    hub_file,
    load_weights,
    random_weights,
    weights_and_part,
)

# Images at once. More of them are no faster on a processor and take memory (VGG-16: 1.8 GB in all).
BATCH, BATCH_GPU = 16, 256

_fitting: set[tuple[Any, ...]] = set()  # files known to fit, by method, parameters and hash


@dataclass(frozen=True)
class InputFormat:
    """The format of the images that a network's weights were trained on.

    Attributes
    ----------
    size : (int, int)
        Height and width in pixels.
    mean, std : tuple of float
        Mean and standard deviation of red, green and blue in [0, 1]; ImageNet's by default.
    interpolation : {"bilinear", "bicubic"}
    """

    size: tuple[int, int]
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"


@dataclass(frozen=True)
class _Loaded:
    """A network on its device; ``origin`` names the parameters and the device it was made for."""

    origin: str
    network: nn.Module
    input_format: InputFormat
    device: torch.device
    parameters: int


class Backbone(Features):
    """Base of features that a frozen, pretrained network gives.

    A subclass states where its published weights lie (`published`), makes the network that ends in
    the wanted layer (`network`), names that layer (`layer_name`) and the format of the network's
    input (`input_format`). Faces come in their native size; each batch is resized (antialiased, the
    whole face, no crop) and normalised on the device. The network computes in float32 and
    evaluation mode, without TF32. ``weights=random`` always means the same network (one fixed
    seed), so that no vector depends on ``--seeds``.
    """

    accelerated = True
    stateless = True
    input = FaceInput(colour="rgb")

    weights: str = param(
        "imagenet",
        help="imagenet (from the local cache), random (untrained), or the path of a .pth, .pt or "
        ".safetensors file",
    )

    _loaded: _Loaded | None = None
    _part: str = ""  # of the file of weights, in words

    def published(self) -> Path:
        """The file of ``weights=imagenet``; `UnavailableError` where it is not on this machine."""
        raise NotImplementedError

    def network(self, path: Path | None) -> nn.Module:
        """The network from normalised faces, float32 (n, 3, H, W), to vectors (n, d).

        Parameters
        ----------
        path : Path or None
            The file of its weights; None: untrained weights from ``RANDOM_SEED``.

        Raises
        ------
        BenchError
            The file is of another architecture.
        """
        raise NotImplementedError

    def input_format(self, network: nn.Module) -> InputFormat:
        """The format of the images that the network takes."""
        raise NotImplementedError

    def layer_name(self) -> str:
        """The layer whose output is the vector, in words."""
        raise NotImplementedError

    def _name(self) -> str:
        return self.name + (self.member or "")

    def read(self, path: Path) -> Weights:
        """The tensors of a file of weights; `remarks` will say which part of it they are."""
        weights, self._part = weights_and_part(path)
        return weights

    def _file(self) -> Path | None:
        """The file of the weights; None for random ones."""
        return find_weights(self.weights, self._name(), self.published)

    def weights_used(self) -> str:
        """SHA-256 of the weights, or ``random``.

        A file that the user names is loaded here once: a wrong one is to stop the command before
        its first cell runs.
        """
        path = self._file()
        if path is None:
            return "random"
        digest = sha256_once(path)
        file = (type(self), repr(self.get_params()), digest)
        if self.weights != "imagenet" and file not in _fitting:
            self.network(path)
            _fitting.add(file)
        return digest

    def transform(self, faces: FaceSet) -> np.ndarray:
        """The layer's output, float32 (n, d), for uint8 (n, H, W, 3) of any size.

        Raises
        ------
        UnavailableError
            The published weights are not on this machine.
        BenchError
            The images are grey, the weights do not fit, or the GPU is not there.
        """
        images = self._images(faces)
        loaded = self._load()
        if not len(images):  # the vector of a black face has the width d
            return self._vectors(np.zeros((1, 8, 8, 3), np.uint8), loaded)[:0]
        return self._vectors(images, loaded)

    def _images(self, faces: FaceSet) -> np.ndarray:
        """The images of the faces; `BenchError` where the network cannot take them."""
        images = faces.images
        if images is None:
            raise BenchError(f"{faces.name} holds precomputed features: {self._name()} needs faces")
        if images.ndim != 4:  # a FaceSet sees to it that they are uint8
            raise BenchError(
                f"{faces.name}: images must be rgb (n, H, W, 3), not {images.shape}; "
                "bench.data.prepare repeats grey three times"
            )
        if 0 in images.shape[1:]:
            raise BenchError(f"{faces.name}: images of {images.shape[1:3]} pixels hold nothing")
        return images

    def _load(self) -> _Loaded:
        """The network, loaded on first use and kept for the next chunk."""
        device = find_device(self.setting.device)
        origin = f"{self.get_params()} {device}"
        if self._loaded is None or self._loaded.origin != origin:
            network = self.network(self._file()).eval().requires_grad_(False)
            input_format = self.input_format(network)
            count = sum(parameter.numel() for parameter in network.parameters())
            network = network.to(device, memory_format=torch.channels_last)
            self._loaded = _Loaded(origin, network, input_format, torch.device(device), count)
        return self._loaded

    def _vectors(self, images: np.ndarray, loaded: _Loaded) -> np.ndarray:
        """The layer's output for uint8 (n, H, W, 3), batch by batch."""
        batch = BATCH if loaded.device.type == "cpu" else BATCH_GPU
        outputs = []
        with torch.inference_mode(), _plain_float32(loaded.device):
            for start in range(0, len(images), batch):
                # np.array makes a copy: torch wants memory that may be written to.
                part = torch.from_numpy(np.array(images[start : start + batch]))
                inputs = _normalised(part.to(loaded.device), loaded.input_format)
                vectors = loaded.network(inputs)
                if vectors.ndim != 2:
                    raise BenchError(
                        f"{self._name()} gives an output of shape {tuple(vectors.shape)} and no "
                        "vectors; take another network"
                    )
                outputs.append(vectors.float().cpu().numpy())
        return np.concatenate(outputs)

    def remarks(self) -> tuple[str, ...]:
        """Weights, layer, input and size of the network, once it is loaded."""
        if self._loaded is None:
            return ()
        path, (height, width) = self._file(), self._loaded.input_format.size
        if path is None:
            weights = f"random weights of seed {RANDOM_SEED}"
        else:
            weights = f"weights {path.name} (SHA-256 {sha256_once(path)[:8]}…)"
            weights += f", {self._part}" if self._part else ""
        return (
            f"{self._name()}: {weights}; {self.layer_name()}; input {height} x {width} pixels; "
            f"{self._loaded.parameters:,} parameters; float32",
        )


def _normalised(images: torch.Tensor, wanted: InputFormat) -> torch.Tensor:
    """Uint8 (n, H, W, 3) in the network's format: float32 (n, 3, h, w), channels last."""
    x = images.permute(0, 3, 1, 2).float().div_(255)
    if tuple(x.shape[2:]) != wanted.size:
        x = functional.interpolate(
            x, wanted.size, mode=wanted.interpolation, align_corners=False, antialias=True
        )
        x = x.clamp_(0, 1)  # the bicubic filter overshoots
    mean, std = x.new_tensor(wanted.mean), x.new_tensor(wanted.std)
    x = x.sub_(mean[:, None, None]).div_(std[:, None, None])
    return x.contiguous(memory_format=torch.channels_last)


class FullyConnected(Backbone):
    """Base of features from a fully connected layer, after its ReLU, of torchvision's networks.

    Class attributes
    ----------------
    model : callable
        torchvision's function that makes the network.
    url : str
        Address of its weights trained on ImageNet.
    cut : dict of str to int
        For each choice of ``layer``, how many modules of the network's ``classifier`` are kept: up
        to the ReLU behind that layer.
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
        """torchvision's network up to the layer; the file may have any head, or none."""
        with torch.device("meta"):
            network: Any = self.model()
        network.classifier = network.classifier[:-1]
        if path is None:
            random_weights(network)
        else:
            load_weights(path, network, self.name, unused=("classifier.6.",), read=self.read)
        network.classifier = network.classifier[: self.cut[self.layer]]
        return network  # type: ignore[no-any-return]

    def input_format(self, network: nn.Module) -> InputFormat:
        """Square, with ImageNet's mean and deviation, bilinear as torchvision's own transform."""
        return InputFormat((self.side, self.side))

    def layer_name(self) -> str:
        """The layer in words, as ``fc7 after ReLU``."""
        return f"{self.layer} after ReLU"


@contextmanager
def _plain_float32(device: torch.device) -> Iterator[None]:
    """A block with kernels that repeat and without TF32, which cuDNN takes by default.

    TF32 has a mantissa of 10 bits.
    """
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
