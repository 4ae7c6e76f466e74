"""Weights of networks: where they are looked for, what is refused, and that nothing is executed."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from bench.api import BenchError, UnavailableError
from bench.data import files
from bench.nn.weights import (
    find_weights,
    hub_file,
    load_weights,
    random_weights,
    read_weights,
    weights_and_part,
    without_home,
)


def model(inside: int = 5, head: bool = True, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, inside, 3, bias=bias), nn.BatchNorm2d(inside), nn.Linear(inside, 7)]
    return nn.Sequential(*(layers if head else layers[:2]))


def on_meta(**kind: Any) -> nn.Sequential:
    with torch.device("meta"):
        return model(**kind)


def published() -> Path:
    raise AssertionError("looked up although it was not asked for")


def test_a_path_random_and_imagenet_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    path.touch()
    assert find_weights(str(path), "net", published) == path
    assert find_weights("random", "net", published) is None
    assert find_weights("imagenet", "net", lambda: path) == path


def test_a_path_may_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.pth").touch()
    assert find_weights("~/own.pth", "net", published) == tmp_path / "own.pth"
    assert without_home(tmp_path / "hub" / "checkpoints") == "~/hub/checkpoints"
    assert without_home(Path("/elsewhere")) == "/elsewhere"


@pytest.mark.parametrize("choice", ["imagnet", "gone.pth", "."])
def test_a_missing_file_is_told_with_the_choices(choice: str) -> None:
    with pytest.raises(BenchError, match=r"net\[weights=.+\]: there is no such file; write imagen"):
        find_weights(choice, "net", published)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's folder of files, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_the_hub_is_only_looked_into(hub: Path) -> None:
    with pytest.raises(UnavailableError) as refused:
        hub_file("https://example.org/models/net-0123abcd.pth", "net")
    assert str(refused.value) == (
        f"net needs https://example.org/models/net-0123abcd.pth in {hub} (or pass "
        "net[weights=PATH])"
    )
    assert list(hub.iterdir()) == []


def test_the_hash_in_the_name_is_checked(hub: Path) -> None:
    digits = hashlib.sha256(b"whole").hexdigest()[:8]
    path = hub / f"net-{digits}.pth"
    path.write_bytes(b"whole")
    assert hub_file(f"https://example.org/{path.name}", "net") == path
    path.write_bytes(b"who")
    with pytest.raises(BenchError, match=f"is damaged: its SHA-256 does not begin with {digits}"):
        hub_file(f"https://example.org/{path.name}", "net")
    (hub / "nameless.pth").touch()
    assert hub_file("https://example.org/nameless.pth", "net") == hub / "nameless.pth"


def test_a_file_is_hashed_once_while_it_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "own.pth", []
    path.write_bytes(b"one")
    hash_file = files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: calls.append(path) or hash_file(path))
    assert {files.sha256_once(path) for _ in range(3)} == {hashlib.sha256(b"one").hexdigest()}
    assert len(calls) == 1
    path.write_bytes(b"other")
    assert files.sha256_once(path) == hashlib.sha256(b"other").hexdigest()
    path.unlink()
    with pytest.raises(BenchError, match=r"own.pth cannot be read \(No such file"):
        files.sha256_once(path)


KEYS = ["state_dict", "model", "model_state_dict", "net", "state_dict_ema", "model_ema"]
PREFIXES = ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model."]


@pytest.mark.parametrize("wrap", ["plain", *KEYS, *PREFIXES, "safetensors", "half"])
def test_every_way_of_saving_gives_the_same_network(tmp_path: Path, wrap: str) -> None:
    state = model().state_dict()
    path = tmp_path / "own.pth"
    if wrap == "safetensors":
        path = tmp_path / "own.safetensors"
        save_file(state, path)
    elif wrap in KEYS:
        settings = argparse.Namespace(lr=0.1, model="net")
        torch.save({"epoch": 3, wrap: state, "optimizer": {"lr": 0.1}, "args": settings}, path)
    elif wrap in PREFIXES:
        torch.save({f"{wrap}{name}": value for name, value in state.items()}, path)
    elif wrap == "half":
        state = model().half().state_dict()
        torch.save(state, path)
    else:
        torch.save(state, path)
    loaded = load_weights(path, on_meta(), "net").state_dict()
    assert list(loaded) == list(state)
    for name, value in loaded.items():
        assert value.device.type == "cpu"
        assert value.dtype in (torch.float32, torch.int64)
        assert torch.equal(value, state[name].to(value.dtype))


@pytest.mark.parametrize("saved", ["state_dict", "model"])
@pytest.mark.parametrize("average", ["state_dict_ema", "model_ema"])
def test_the_moving_average_goes_before_the_last_weights(
    tmp_path: Path, saved: str, average: str
) -> None:
    path, last, mean = tmp_path / "own.pth", model().state_dict(), model().half().state_dict()
    mean = {name: value.float() for name, value in mean.items()}
    torch.save({saved: last, average: mean}, path)
    weights, part = weights_and_part(path)
    assert part == f"its {average}, not its {saved}"
    timms = timm.models.load_state_dict(str(path))
    assert all(torch.equal(weights[name], timms[name]) for name in timms)
    assert not torch.equal(weights["0.weight"], last["0.weight"])
    torch.save({saved: last, average: None}, path)
    assert weights_and_part(path)[1] == f"its {saved}"


def test_a_moving_average_of_unknown_make_is_said_not_to_be_used(tmp_path: Path) -> None:
    state = model().state_dict()
    torch.save({"model": state, "ema": {"module": state}, "ema_decay": 0.9}, tmp_path / "own.pth")
    assert weights_and_part(tmp_path / "own.pth")[1] == "its model, not its ema"
    torch.save(state, tmp_path / "own.pth")
    assert weights_and_part(tmp_path / "own.pth")[1] == ""


def test_a_wrong_name_does_not_matter(tmp_path: Path) -> None:
    state = model().state_dict()
    save_file(state, tmp_path / "own.pth")
    torch.save(state, tmp_path / "own.safetensors")
    torch.save(state, tmp_path / "old.safetensors", _use_new_zipfile_serialization=False)
    for name in ("own.pth", "own.safetensors", "old.safetensors"):
        found = read_weights(tmp_path / name)
        assert all(torch.equal(found[one], value) for one, value in state.items())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html><head>", "is a web page and not the weights: download the file"),
        (b"\n <html>", "is a web page"),
        (b"<?xml version='1.0'?><Error>", "is a web page"),
        (b"\x1f\x8b\x08\x00", "compressed by gzip and no file of weights: unpack it"),
        (b"\x89HDF\r\n", "Keras"),
    ],
)
@pytest.mark.parametrize("name", ["own.pth", "own.safetensors"])
def test_what_people_get_in_place_of_weights_is_named(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchError, match=f"{name} .*{says}"):
        read_weights(tmp_path / name)


def test_a_head_that_is_not_used_may_be_anything(tmp_path: Path) -> None:
    for head in (True, False):
        torch.save(model(head=head).state_dict(), tmp_path / "own.pth")
        found = load_weights(tmp_path / "own.pth", on_meta(head=False), "net", unused=("2.",))
        assert torch.equal(found[0].weight, model()[0].weight)
    torch.save(model(head=True).state_dict(), tmp_path / "own.pth")
    with pytest.raises(BenchError, match=r"another network than net: 2 keys it does not have \(2"):
        load_weights(tmp_path / "own.pth", on_meta(head=False), "net")


def test_files_older_than_the_batch_counter_are_read(tmp_path: Path) -> None:
    state = model().state_dict()
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "old.pth")
    assert load_weights(tmp_path / "old.pth", on_meta(), "net")[1].num_batches_tracked == 0


def test_weights_of_another_architecture_are_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save({**model(inside=4).state_dict(), "x": torch.ones(1)}, path)
    with pytest.raises(BenchError) as refused:
        load_weights(path, on_meta(), "net")
    assert str(refused.value) == (
        f"{path} holds weights for another network than net: 1 keys it does not have (x); 7 of "
        "another shape (0.weight (4, 3, 3, 3) for (5, 3, 3, 3), 0.bias (4,) for (5,), …)"
    )
    torch.save(model(bias=False, head=False).state_dict(), path)
    with pytest.raises(BenchError, match=r"3 of its keys are missing \(0\.bias, 2\.weight, …\)"):
        load_weights(path, on_meta(), "net")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = model().state_dict()
    state["2.bias"][3] = torch.nan
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(BenchError, match=r"own.pth: 2.bias has values that are not finite"):
        load_weights(tmp_path / "own.pth", on_meta(), "net")


class Malicious:
    """What a pickle can do: here, make a file."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
@pytest.mark.parametrize("inside", ["alone", "beside tensors"])
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path: Path, how: str, inside: str) -> None:
    proof, path = tmp_path / "was-run", tmp_path / "evil.pth"
    evil: Any = Malicious(f"touch {proof}")
    if inside == "beside tensors":
        evil = {**model().state_dict(), "extra": evil}
    if how == "torch":
        torch.save(evil, path)
    else:
        path.write_bytes(pickle.dumps(evil, protocol=2))
    with pytest.raises(BenchError, match=r"evil.pth holds more than plain tensors \([\w.]+\)"):
        read_weights(path)
    assert not proof.exists()
    torch.load(path, weights_only=False) if how == "torch" else pickle.loads(path.read_bytes())
    assert proof.exists()  # it would have


def test_a_whole_network_in_a_pickle_is_refused(tmp_path: Path) -> None:
    torch.save(model(), tmp_path / "own.pt")
    with pytest.raises(
        BenchError, match=r"holds more than plain tensors \(torch.nn.+\) and was no"
    ):
        read_weights(tmp_path / "own.pt")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.4, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"own{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model(inside=200).state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BenchError, match=r"is damaged or no file of weights \(\w+\): copy it agai"):
        read_weights(path)


@pytest.mark.parametrize("content", [b"GIF89a", b"\x80\x02}q\x00.", b"<html>not found</html>"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.pth").write_bytes(content)
    with pytest.raises(BenchError, match=r"own\.pth"):
        read_weights(tmp_path / "own.pth")


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ([torch.ones(2)], "holds list and no state_dict"),
        ({}, "holds nothing and no state_dict"),
        ({"a": torch.ones(2), "epoch": 3}, r"'epoch' is no name of a tensor \(it is int\)"),
        ({1: torch.ones(2)}, "1 is no name of a tensor"),
    ],
)
def test_plain_things_that_are_no_state_dict_are_refused(
    tmp_path: Path, saved: Any, message: str
) -> None:
    torch.save(saved, tmp_path / "own.pth")
    with pytest.raises(BenchError, match=message):
        read_weights(tmp_path / "own.pth")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot be read \(Is a directory\)"):
        read_weights(tmp_path)


def test_random_weights_are_hes_and_always_the_same() -> None:
    def small_network() -> nn.Sequential:
        with torch.device("meta"):
            wide = nn.Sequential(nn.Conv2d(16, 64, 3), nn.ReLU(), nn.Linear(64, 900))
        return random_weights(wide)

    torch.manual_seed(1)
    first = small_network()
    state = torch.get_rng_state()
    second = small_network()
    assert torch.equal(state, torch.get_rng_state())
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    for layer, fan_in in ((first[0], 16 * 9), (first[2], 64)):
        assert not layer.bias.any()
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert layer.weight.abs().max().item() <= (6 / fan_in) ** 0.5
    with pytest.raises(TypeError, match="does not know BatchNorm2d"):
        random_weights(on_meta())
