"""Weights of pretrained networks: files of this machine, checked, never executed or downloaded.

Every network that starts from published weights reads them here.
"""

from __future__ import annotations

import argparse
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
    """The tensors of a file by name; see `weights_and_part`."""
    return weights_and_part(path)[0]


def weights_and_part(path: Path) -> tuple[Weights, str]:
    """The tensors of a file by name, on the CPU; and which part of the file they are, in words.

    The file is a safetensors file or one of ``torch.save``, whatever its name says. It holds a
    state_dict, alone or under a key of `PARTS`; as in timm's own loader the moving average of a
    training (`state_dict_ema`, `model_ema`) goes before the last weights, since it is what was
    published. What wrappers write before names is left out: ``module.`` (DataParallel),
    ``_orig_mod.`` (torch.compile), and ``model.`` where all names have it (Lightning).

    Raises
    ------
    BenchError
        The file is damaged, is something else, or holds anything but plain tensors beside a plain
        namespace of settings (it is refused, not executed).
    """
    content, taken, unused = _content(path), [], []
    while isinstance(content, Mapping):
        keys = [key for key in PARTS if isinstance(content.get(key), Mapping)]
        averages = [key for key, value in content.items() if _is_average(key, value)]
        if not keys:
            break
        unused += [key for key in dict.fromkeys([*keys, *averages]) if key != keys[0]]
        taken.append(keys[0])
        content = content[keys[0]]
    words = f"its {'/'.join(taken)}" if taken else ""
    if unused:
        words += f", not its {' or '.join(map(str, unused))}"
    return _unwrapped(_state_dict(path, content)), words


PARTS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict", "net")
"""Keys under which training scripts keep a state_dict, the first of them before the others."""


def _is_average(key: object, value: object) -> bool:
    """Whether this is an exponential moving average of weights."""
    if not isinstance(key, str) or not isinstance(value, Mapping):
        return False
    return "ema" in re.split(r"[^a-z]+", key.lower())


def _unwrapped(weights: Weights) -> Weights:
    """Weights by the names that the network itself gives them."""
    clean = {}
    for name, value in weights.items():
        # Each may stand before or behind the other.
        for prefix in ("_orig_mod.", "module.", "_orig_mod."):
            name = name.removeprefix(prefix)
        clean[name] = value
    if all(name.startswith("model.") for name in clean):
        return {name.removeprefix("model."): value for name, value in clean.items()}
    return clean


def _content(path: Path) -> Any:
    """The content of a file, whatever it holds, read without executing anything."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise BenchError(f"{path} cannot be read ({error.strerror}): check the file") from error
    _refuse_other_files(path, head)
    try:
        if _is_safetensors(path, head):
            return load_file(path)
        # Training scripts keep their settings in a namespace, which holds values and runs nothing.
        # As an open file: torch takes the name of a .safetensors for its word.
        with torch.serialization.safe_globals([argparse.Namespace]), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch and safetensors raise a dozen kinds for a damaged file
        raise BenchError(_refusal(path, error)) from error


def _is_safetensors(path: Path, head: bytes) -> bool:
    """Whether a file is one of safetensors, by its content and, where that is damaged, its name."""
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length + 8 <= path.stat().st_size:
        return True
    saved_by_torch = head.startswith((b"PK\x03\x04", b"\x80"))
    return path.suffix == ".safetensors" and not saved_by_torch


def _refuse_other_files(path: Path, head: bytes) -> None:
    """Raise `BenchError` for a file that is whole, but is what people get in place of weights."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        raise BenchError(
            f"{path} is a pointer of Git LFS and not the weights: fetch them by git lfs pull"
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        raise BenchError(
            f"{path} is a web page and not the weights: download the file itself, by the page's "
            "link to download it"
        )
    for magic, kind, advice in _OTHER_FILES:
        if head.startswith(magic):
            raise BenchError(f"{path} is {kind} and no file of weights: {advice}")


_OTHER_FILES = (
    (b"\x89HDF", "a file of HDF5 (Keras)", "take the weights of PyTorch"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it"),
)


def _state_dict(path: Path, content: Any) -> Weights:
    """The state_dict that a file's part is; `BenchError` where it is none."""
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
    path: Path,
    model: nn.Module,
    method: str,
    unused: tuple[str, ...] = (),
    read: Callable[[Path], Weights] = read_weights,
) -> nn.Module:
    """Put a file's weights into ``model``, as float32; its own may be on the meta device.

    Parameters
    ----------
    method : str
        The method's name, for messages.
    unused : tuple of str
        First parts of names that the file may have and ``model`` lacks: those of a head, say.
    read : callable
        What reads the file.

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
        for name, value in read(path).items()
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
