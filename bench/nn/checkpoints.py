"""Checkpoints of a training: whole or not there, verified by hash, the newest two kept.

The training loop (`bench.nn.train`) writes one now and then and resumes from the newest.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from bench.api import BenchError
from bench.data.files import sha256, whole, write_text

SAVING_SHARE = 0.1  # of the time that checkpoints may take; the first and the last are always made

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch.

    Attributes
    ----------
    epoch : int
        How many epochs are finished.
    state : dict of str to Tensor
        Weights and the optimiser's state (`training_state`); empty once training is over.
    best : dict of str to Tensor
        The weights of the best epoch so far. Empty while training goes on and no epoch is chosen:
        the weights to use are then those of the state.
    about : dict
        The history, the best epoch and the like, as JSON can hold them.
    """

    epoch: int
    state: Tensors
    best: Tensors
    about: dict[str, Any]


class Checkpoints:
    """The folder of one training.

    A checkpoint is an entry such as ``epoch-0007.json`` and files of tensors, which the entry names
    with their hashes. The entry is written last, so that all files that it names are whole, and it
    holds a hash of itself. The newest two checkpoints are kept.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    identity : mapping
        What tells this training from others: the checkpoints of another training are refused.
    warn : callable
        Takes a sentence about each damaged checkpoint.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], warn: Callable[[str], None]
    ) -> None:
        self.folder, self.warn = folder, warn
        self.identity = json.loads(json.dumps(dict(identity)))
        self._best: tuple[int, dict[str, str]] | None = None  # its epoch and file

    def save(self, checkpoint: Checkpoint, best_epoch: int) -> None:
        """Write a checkpoint, then remove all but the newest two.

        Of a training that is over, only the last checkpoint is kept.

        Raises
        ------
        DiskFullError
            The checkpoints that were there are still there.
        """
        name = f"epoch-{checkpoint.epoch:04d}"
        files: dict[str, Any] = {}
        if checkpoint.state:
            files["state"] = self._write(f"{name}-state.safetensors", checkpoint.state)
        if checkpoint.best:
            if self._best is None or self._best[0] != best_epoch:
                file = self._write(f"best-{best_epoch:04d}.safetensors", checkpoint.best)
                self._best = best_epoch, file
            files["best"] = self._best[1]
        entry: dict[str, Any] = {
            "epoch": checkpoint.epoch,
            "identity": self.identity,
            "files": files,
            "about": checkpoint.about,
        }
        entry["sha256"] = _digest(entry)
        write_text(self.folder / f"{name}.json", json.dumps(entry, indent=1) + "\n")
        self._prune(checkpoint.epoch, keep=2 if checkpoint.state else 1)

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint; None where there is none.

        Raises
        ------
        BenchError
            The folder holds another training.
        """
        for _, path in reversed(self._entries()):
            try:
                entry = json.loads(path.read_text(encoding="utf-8"))
                if entry.pop("sha256") != _digest(entry):
                    raise ValueError("it has another hash")
                identity, files = entry["identity"], entry["files"]
                tensors = {role: self._read(file) for role, file in files.items()}
                checkpoint = Checkpoint(
                    entry["epoch"],
                    tensors.get("state", {}),
                    tensors.get("best", {}),
                    entry["about"],
                )
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.warn(
                    f"checkpoint {path.name} is damaged ({error}): training goes on from the one "
                    "before it, or starts anew where there is none"
                )
                continue
            if identity != self.identity:
                raise BenchError(
                    f"{self.folder} holds the checkpoints of another training; name another folder "
                    "or remove it"
                )
            if "best" in files:
                self._best = _number(Path(files["best"]["file"])), files["best"]
            return checkpoint
        return None

    def _write(self, name: str, tensors: Tensors) -> dict[str, str]:
        path = self.folder / name
        with whole(path) as temporary:
            # Not save_file: its error on a full disk is no OSError. Copies, since it refuses two
            # names of one tensor.
            plain = {key: t.detach().to("cpu", copy=True) for key, t in tensors.items()}
            plain = {key: t.contiguous() for key, t in plain.items()}
            temporary.write_bytes(save(plain))
            digest = sha256(temporary)
        return {"file": name, "sha256": digest}

    def _read(self, file: dict[str, str]) -> Tensors:
        path = self.folder / file["file"]
        if sha256(path) != file["sha256"]:
            raise ValueError(f"{path.name} has another hash")
        return load_file(path)

    def _entries(self) -> list[tuple[int, Path]]:
        """The epoch and the entry of each checkpoint, in order."""
        return sorted((_number(path), path) for path in self.folder.glob("epoch-[0-9]*.json"))

    def _prune(self, newest: int, keep: int) -> None:
        """Remove all but the last ``keep`` checkpoints up to that of epoch ``newest``.

        Checkpoints of later epochs are damaged: otherwise training would have resumed from them.
        """
        entries = self._entries()
        kept = [path for epoch, path in entries if epoch <= newest][-keep:]
        for _, path in entries:
            if path not in kept:
                path.unlink()
        used = set()
        for entry in kept:
            try:
                files = json.loads(entry.read_text(encoding="utf-8"))["files"]
                used |= {file["file"] for file in files.values()}
            except (ValueError, KeyError, TypeError):
                continue  # a damaged entry, of which `latest` will warn
        for path in self.folder.glob("*.safetensors"):
            if path.name not in used:
                path.unlink()


def _number(path: Path) -> int:
    """The epoch in a file's name."""
    return int(path.stem.split("-")[1])


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


class CheckpointClock:
    """When the next checkpoint is due: they take at most `SAVING_SHARE` of the time.

    A context manager round the writing of a checkpoint measures how long it takes.
    """

    def __init__(self) -> None:
        self.next = 0.0

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() >= self.next

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        ended = time.monotonic()
        self.next = ended + (ended - self.started) / SAVING_SHARE


# -- the state of a model and its optimiser ---------------------------------------------------

_MODEL, _OPTIMIZER = "model.", "optimizer."  # prefixes of their tensors' names


def training_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensors:
    """The weights and the optimiser's state, as tensors by name."""
    state = {f"{_MODEL}{name}": tensor for name, tensor in model.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                state[f"{_OPTIMIZER}{number}.{name}"] = torch.as_tensor(value)
    return state


def restore(state: Tensors, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Give a model and its optimiser the state that `training_state` took."""
    weights = {
        name.removeprefix(_MODEL): tensor
        for name, tensor in state.items()
        if name.startswith(_MODEL)
    }
    model.load_state_dict(weights)
    values: dict[int, Tensors] = defaultdict(dict)
    for key, tensor in state.items():
        if key.startswith(_OPTIMIZER):
            _, number, name = key.split(".", 2)
            values[int(number)][name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(values)})
    # Files hold tensors in plain order, and fused optimisers on the CPU go through memory: with
    # channels last they would add momenta to other weights than their own.
    for parameter, own in optimizer.state.items():
        for name, value in own.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                own[name] = torch.empty_like(parameter).copy_(value)
