"""Weights of pretrained networks: found on this machine, checked, never executed or downloaded."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file
from torch import nn

from bench.api import BenchError, UnavailableError
from bench.data.files import sha256_once
from bench.nn.device import seeded

RANDOM_SEED = 0
"""Of untrained weights, whatever ``--seeds`` says: one network, asked for by name."""


def find_weights(choice: str, method: str, published: Callable[[], Path]) -> Path | None:
    """The file that ``weights=choice`` means; None for ``random``.

    Parameters
    ----------
    choice : str
        ``imagenet``, ``random``, or the path of a file.
    method : str
        For the error sentences.
    published : callable
        Finds the file of ``imagenet``; raises `UnavailableError` where it is not there.
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

    The name's hexadecimal digits (``vgg16-397923af.pth``) are the first of the file's SHA-256, as
    torch.hub itself checks them.

    Raises
    ------
    UnavailableError
        Not there; says which URL and which folder.
    BenchError
        There, and another file than the name promises (a broken download).
    """
    name = Path(urlsplit(url).path).name
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / name
    if not path.is_file():
        raise UnavailableError(
            f"{method} needs {url} in {told(folder)} (or pass {method}[weights=PATH])"
        )
    digits = re.search(r"-([0-9a-f]{8,})\.", name)
    if digits is not None and not sha256_once(path).startswith(digits[1]):
        raise BenchError(
            f"{path} is damaged: its SHA-256 does not begin with {digits[1]}; delete it and fetch "
            f"{url} again"
        )
    return path


def told(folder: Path) -> str:
    """A folder for a sentence that goes into a record: the home folder is nobody's business."""
    try:
        return f"~/{folder.relative_to(Path.home())}"
    except ValueError:
        return str(folder)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name, on the CPU.

    ``.safetensors``, or a file of ``torch.save`` that holds a state_dict, alone or under the key
    ``state_dict`` or ``model``; the ``module.`` that DataParallel writes before names is left out.

    Raises
    ------
    BenchError
        A file that is damaged, or holds anything but plain tensors (refused, not executed).
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise BenchError(f"{path} cannot be read ({error.strerror}): check the file") from error
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch and safetensors raise a dozen kinds for a damaged file
        raise BenchError(_refusal(path, error)) from error
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        raise BenchError(
            f"{path} holds {type(found).__name__ if found else 'nothing'} and no state_dict; save "
            "model.state_dict()"
        )
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise BenchError(
                f"{path}: {name!r} is no name of a tensor (it is {type(value).__name__}); save "
                "model.state_dict()"
            )
    if all(name.startswith("module.") for name in found):
        return {name.removeprefix("module."): value for name, value in found.items()}
    return dict(found)


def _refusal(path: Path, error: Exception) -> str:
    """Why a file is not read, in a sentence."""
    said = " ".join(str(error).split())
    code = re.search(r"GLOBAL ([\w.]+)", said)
    if isinstance(error, pickle.UnpicklingError) and (code or "reduce" in said):
        what = f" ({code[1]})" if code else ""
        return (
            f"{path} holds more than plain tensors{what} and was not read, since that could run "
            "code: save model.state_dict() alone"
        )
    if "TorchScript" in said:
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
    unused : tuple of str
        How the names of layers begin that ``model`` does not have and the file may: a head.

    Returns
    -------
    Module
        ``model``.

    Raises
    ------
    BenchError
        As `read_weights`; weights of another architecture; values that are not finite.
    """
    own = model.state_dict()
    state = {
        name: value
        for name, value in read_weights(path).items()
        if not unused or not name.startswith(unused)
    }
    for name in own:
        if name.endswith("num_batches_tracked"):  # files from before PyTorch 0.4.1 lack it
            state.setdefault(name, torch.zeros((), dtype=torch.long))
    wrong = difference(state, own)
    if wrong:
        raise BenchError(f"{path} holds weights for another network than {method}: {wrong}")
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise BenchError(f"{path}: {name} has values that are not finite; take other weights")
    model.load_state_dict(state, assign=True)
    return model.float()


def difference(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> str:
    """How two state_dicts differ in names and shapes, in words; empty where they do not."""
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    shapes = [
        f"{name} {tuple(found[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in found and found[name].shape != wanted[name].shape
    ]
    parts = [
        f"{len(names)} {what} ({', '.join(names[:2])}{', …' if len(names) > 2 else ''})"
        for names, what in (
            (missing, "of its keys are missing"),
            (extra, "keys it does not have"),
            (shapes, "of another shape"),
        )
        if names
    ]
    return "; ".join(parts)


def random_weights(model: nn.Module) -> nn.Module:
    """Untrained weights for a model of convolutions and linear layers on the meta device.

    He et al., ICCV 2015, Eq. 10, as a uniform distribution; biases are zero. Always from
    ``RANDOM_SEED``, and on the CPU, so that every device gets the same.
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
