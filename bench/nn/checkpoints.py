"""Checkpoints of a training: whole or not there, verified by hash, two generations deep."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from bench.api import BenchError
from bench.data.files import sha256, whole, write_text

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch.

    Attributes
    ----------
    epoch : int
        Epochs done.
    state : dict of str to Tensor
        Weights and the optimiser's state; empty once training is over.
    best : dict of str to Tensor
        The weights to use: those of the best epoch so far. Empty where no epoch is chosen and
        training goes on: they are the state's.
    about : dict
        What JSON can hold: the history, the best epoch.
    """

    epoch: int
    state: Tensors
    best: Tensors
    about: dict[str, Any]


class Checkpoints:
    """The folder of one training.

    ``epoch-0007.json`` names the files of tensors and their hashes; it is written last, so that
    what it names is whole, and holds a hash of itself. The newest two are kept.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    identity : mapping
        What the training is: a folder of another one is refused.
    say : callable
        Hears of damaged checkpoints.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], say: Callable[[str], None]
    ) -> None:
        self.folder, self.say = folder, say
        self.identity = json.loads(json.dumps(dict(identity)))
        self._best: tuple[int, dict[str, str]] | None = None

    def save(self, checkpoint: Checkpoint, best_epoch: int) -> None:
        """Write a checkpoint, then remove those before the last.

        Raises
        ------
        DiskFullError
            What was there is still there.
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
                tensors = {what: self._read(file) for what, file in files.items()}
                found = Checkpoint(
                    entry["epoch"],
                    tensors.get("state", {}),
                    tensors.get("best", {}),
                    entry["about"],
                )
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.say(
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
            return found
        return None

    def _write(self, name: str, tensors: Tensors) -> dict[str, str]:
        path = self.folder / name
        with whole(path) as temporary:
            # Not save_file: what it raises on a full disk is no OSError.
            # Copies: two names of one tensor are refused.
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
        """Checkpoints by epoch."""
        return sorted((_number(path), path) for path in self.folder.glob("epoch-[0-9]*.json"))

    def _prune(self, newest: int, keep: int) -> None:
        """Remove all but the last ``keep`` checkpoints up to that of epoch ``newest``.

        Later ones are damaged: else training would have gone on from there.
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
                continue  # damaged: `latest` will say so, should it still be there
        for path in self.folder.glob("*.safetensors"):
            if path.name not in used:
                path.unlink()


def _number(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
