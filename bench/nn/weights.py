"""Weights of pretrained networks: files of this machine, checked, never executed or downloaded.

Every network that starts from published weights reads them here.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file
from torch import nn

from bench.api import BenchError, UnavailableError
from bench.data.files import sha256_once
from bench.nn.device import seeded

RANDOM_SEED = 0
"""The seed of ``weights=random``, whatever ``--seeds`` says: always the same untrained network."""

Weights = dict[str, torch.Tensor]
"""Tensors by the names that a network gives them."""


def find_weights(choice: str, method: str, published: Callable[[], Path]) -> Path | None:
    """The file that ``weights=choice`` means; None for ``random``.

    Parameters
    ----------
    choice : str
        ``imagenet``, ``random``, or the path of a file.
    method : str
        The method's name, for messages.
    published : callable
        Returns the file of ``imagenet``; raises `UnavailableError` where it is not there.
    """
    if choice == "random":
        return None
    if choice == "imagenet":
        return published()
    path = Path(os.path.expanduser(choice))
    if not path.is_file():
        raise BenchError(
            f"{method}[weights={choice}]: there is no such file; write imagenet, random, or the "
            "path of a .pth, .pt or .safetensors file"
        )
    return path


def hub_file(url: str, method: str) -> Path:
    """The file of ``url`` in the folder that torch.hub downloads to, its hash checked.

    The hexadecimal digits in the name (``vgg16-397923af.pth``) are the first of the file's SHA-256;
    torch.hub itself checks them likewise.

    Raises
    ------
    UnavailableError
        The file is not there; the message names the URL and the folder.
    BenchError
        The file is there with other content than its name promises (a broken download).
    """
    name = Path(urlsplit(url).path).name
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / name
    if not path.is_file():
        raise UnavailableError(
            f"{method} needs {url} in {without_home(folder)} (or pass {method}[weights=PATH])"
        )
    digits = re.search(r"-([0-9a-f]{8,})\.", name)
    if digits is not None and not sha256_once(path).startswith(digits[1]):
        raise BenchError(
            f"{path} is damaged: its SHA-256 does not begin with {digits[1]}; delete it and fetch "
            f"{url} again"
        )
    return path


def without_home(folder: Path) -> str:
    """A folder's path with ``~`` for the home folder, which records are not to tell."""
    try:
        return f"~/{folder.relative_to(Path.home())}"
    except ValueError:
        return str(folder)


def read_weights(path: Path) -> Weights:
    """The tensors of a file by name, on the CPU.

    The file is a ``.safetensors``, or one of ``torch.save`` that holds a state_dict, alone or under
    the key ``state_dict`` or ``model``. The ``module.`` that DataParallel writes before names is
    left out.

    Raises
    ------
    BenchError
        The file is damaged, or holds anything but plain tensors (it is refused, not executed).
    """
    weights = _state_dict(path, _content(path))
    if all(name.startswith("module.") for name in weights):
        return {name.removeprefix("module."): value for name, value in weights.items()}
    return weights


def _content(path: Path) -> Any:
    """The content of a file, whatever it holds, read without executing anything."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise BenchError(f"{path} cannot be read ({error.strerror}): check the file") from error
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch and safetensors raise a dozen kinds for a damaged file
        raise BenchError(_refusal(path, error)) from error


def _state_dict(path: Path, content: Any) -> Weights:
    """The state_dict in a file's content; `BenchError` where there is none."""
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise BenchError(
            f"{path} holds {type(content).__name__ if content else 'nothing'} and no state_dict; "
            "save model.state_dict()"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise BenchError(
                f"{path}: {name!r} is no name of a tensor (it is {type(value).__name__}); save "
                "model.state_dict()"
            )
    return dict(content)


def _refusal(path: Path, error: Exception) -> str:
    """The sentence that says why a file was not read."""
    reason = " ".join(str(error).split())
    code = re.search(r"GLOBAL ([\w.]+)", reason)
    if isinstance(error, pickle.UnpicklingError) and (code or "reduce" in reason):
        what = f" ({code[1]})" if code else ""
        return (
            f"{path} holds more than plain tensors{what} and was not read, since that could run "
            "code: save model.state_dict() alone"
        )
    if "TorchScript" in reason:
        return f"{path} is a TorchScript archive: save model.state_dict() instead"
    return (
        f"{path} is damaged or no file of weights ({type(error).__name__}): copy it again, as "
        ".pth, .pt or .safetensors"
    )


def load_weights(
    path: Path, model: nn.Module, method: str, unused: tuple[str, ...] = ()
) -> nn.Module:
    """Put a file's weights into ``model``, as float32; its own may be on the meta device.

    Parameters
    ----------
    method : str
        The method's name, for messages.
    unused : tuple of str
        First parts of names that the file may have and ``model`` lacks: those of a head, say.

    Returns
    -------
    Module
        ``model``.

    Raises
    ------
    BenchError
        As `read_weights`; the weights are of another architecture; a value is not finite.
    """
    expected = model.state_dict()
    state = {
        name: value
        for name, value in read_weights(path).items()
        if not unused or not name.startswith(unused)
    }
    for name in expected:
        if name.endswith("num_batches_tracked"):  # files from before PyTorch 0.4.1 lack it
            state.setdefault(name, torch.zeros((), dtype=torch.long))
    mismatch = difference(state, expected)
    if mismatch:
        raise BenchError(f"{path} holds weights for another network than {method}: {mismatch}")
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise BenchError(f"{path}: {name} has values that are not finite; take other weights")
    model.load_state_dict(state, assign=True)
    return model.float()


def difference(weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> str:
    """How two state_dicts differ in names and shapes, in words; empty where they do not."""
    shapes = [
        f"{name} {tuple(weights[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    parts = [
        _counted([name for name in expected if name not in weights], "of its keys are missing"),
        _counted([name for name in weights if name not in expected], "keys it does not have"),
        _counted(shapes, "of another shape"),
    ]
    return "; ".join(part for part in parts if part)


def _counted(names: Sequence[str], what: str) -> str:
    """How many names there are, with the first two of them; empty without any."""
    if not names:
        return ""
    return f"{len(names)} {what} ({', '.join(names[:2])}{', …' if len(names) > 2 else ''})"


def random_weights(model: nn.Module) -> nn.Module:
    """Untrained weights for a model of convolutions and linear layers on the meta device.

    He et al., ICCV 2015, Eq. 10, as a uniform distribution; biases are zero. The weights are always
    drawn from ``RANDOM_SEED``, and on the CPU, so that every device gets the same ones.

    Raises
    ------
    TypeError
        A layer with weights is of another type.
    """
    model.to_empty(device="cpu")
    with seeded("cpu", RANDOM_SEED), torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    module.bias.zero_()
            elif any(True for _ in module.parameters(recurse=False)):
                raise TypeError(f"random_weights does not know {type(module).__name__}")
    return model
