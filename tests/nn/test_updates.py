"""Updates: batches in pieces where memory is short, mixed precision, compiled steps."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import (
    Killed,
    Little,
    die_in,
    fit,
    weights,
)
from torch import nn

from bench.api import BenchError
from bench.nn import train as module
from bench.nn.output import Batch, Output, Terms

pytestmark = pytest.mark.usefixtures("float32")


class Narrow(Little):
    """Has room for five images at once."""

    name = "narrow"
    room = 5

    def build(self, labels: int, channels: int) -> nn.Module:
        model = super().build(labels, channels)
        forward = model.forward

        def within(x: torch.Tensor) -> Output:
            if model.training and len(x) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(x)

        model.forward = within  # type: ignore[method-assign]
        return model


class NarrowPairs(Narrow):
    """Its loss looks at pairs."""

    name = "narrow-pairs"
    sums_over_samples = False


@pytest.mark.filterwarnings("ignore:narrow:RuntimeWarning")
def test_gradients_in_pieces_are_those_of_the_whole(tmp_path: Path) -> None:
    plain = fit(Little(dropout=0.0))
    found = fit(Narrow(dropout=0.0), tmp_path)
    for one, other in zip(found.model_.parameters(), plain.model_.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    losses = [[row["loss"] for row in network.history_] for network in (found, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    notices = [remark for remark in found.remarks() if "out of memory" in remark]
    assert notices == [
        f"narrow: out of memory; batches of 16 are now computed in {pieces} pieces whose "
        "gradients are added"
        for pieces in (2, 4)
    ]
    # It is said again in the record of a training that was taken up.
    again = fit(Narrow(dropout=0.0), tmp_path)
    assert [remark for remark in again.remarks() if "out of memory" in remark] == notices


@pytest.mark.filterwarnings("ignore:narrow:RuntimeWarning")
def test_augmentation_does_not_hang_on_memory() -> None:
    """The batch that is tried again is cut from the same places."""
    seen: list[list[bytes]] = [[], []]
    for drawn, kind in zip(seen, (Narrow, Little), strict=True):
        network = kind(dropout=0.0)
        normalised = network.normalised

        def noted(
            images: torch.Tensor, drawn: list[bytes] = drawn, normalised: Any = normalised
        ) -> torch.Tensor:
            if len(images) in (16, 8):
                drawn.append(images.numpy().tobytes())
            return normalised(images)

        network.normalised = noted  # type: ignore[method-assign]
        fit(network)
    assert list(dict.fromkeys(seen[0])) == list(dict.fromkeys(seen[1]))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (Narrow(norm=True), "its batch normalisation looks at the whole batch"),
        (NarrowPairs(), "its loss looks at the whole batch"),
    ],
)
def test_where_pieces_would_be_another_method_it_stops(network: Any, why: str) -> None:
    with pytest.raises(BenchError) as caught:
        fit(network)
    message = str(caught.value)
    assert message.startswith(f"{network.name} ran out of memory with a batch of 16, and {why}")
    assert message.endswith("use a device with more memory, or a smaller budget")


@pytest.mark.filterwarnings("ignore:narrow:RuntimeWarning")
def test_no_room_for_one_image_stops_it() -> None:
    network = Narrow()
    network.room = 0
    with pytest.raises(BenchError, match="narrow ran out of memory with one image at a time"):
        fit(network)


def test_a_step_that_found_no_memory_is_not_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()

    def step(self: Any, closure: Any = None) -> None:
        next(calls)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(torch.OutOfMemoryError):
        fit(Little())
    assert next(calls) == 1


# -- precision, compilation -----------------------------------------------------------------------


@pytest.mark.parametrize("mixed", [False, True])
def test_bfloat16_where_it_pays(monkeypatch: pytest.MonkeyPatch, mixed: bool) -> None:
    monkeypatch.setattr(module, "trains_in_bfloat16", lambda device: mixed)
    kinds = set()

    class Watching(Little):
        name = "watching"

        def loss(self, out: Output, batch: Batch) -> Terms:
            kinds.add(out.logits.dtype)
            return super().loss(out, batch)

    network = Watching()
    first = fit(network)
    assert kinds == {torch.float32}
    assert {p.dtype for p in first.model_.parameters()} == {torch.float32}
    assert any(("bfloat16 on cpu" if mixed else "float32 on cpu") in r for r in first.remarks())
    assert weights(fit(Watching())) == weights(first)
    monkeypatch.setattr(module, "trains_in_bfloat16", lambda device: not mixed)
    assert weights(fit(Watching())) != weights(first)


def test_a_training_that_went_on_in_another_precision_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        die_in("a step", 6, patch)
        with pytest.raises(Killed):
            fit(Little(), tmp_path)
    monkeypatch.setattr(module, "trains_in_bfloat16", lambda device: True)
    found = fit(Little(), tmp_path)
    assert {row["bfloat16"] for row in found.history_} == {0.0, 1.0}
    threads = f"cpu, {torch.get_num_threads()} thread(s)"
    told = f"images/s, float32 on {threads} and bfloat16 on {threads})"
    assert any(told in remark for remark in found.remarks())


def test_a_finished_training_says_how_many_threads_it_had_then(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        fit(Little(), tmp_path)
    finally:
        torch.set_num_threads(before)
    again = fit(Little(), tmp_path)
    assert any(f"on cpu, {before + 1} thread(s))" in remark for remark in again.remarks())


@pytest.mark.slow  # a compiler starts
def test_compiled_steps_give_nearly_the_same_weights() -> None:
    plain, compiled = fit(Little(dropout=0.0)), fit(Little(dropout=0.0, compile=True))
    for one, other in zip(compiled.model_.parameters(), plain.model_.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
