"""The example of CONTRIBUTING, a new loss on an existing network, does what the text says."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builtin import method_class
from networks import some_faces
from torch import Tensor

from bench.api import Setting
from bench.nn.output import Batch, Output
from bench.plugins import Registry

TEXT = (Path(__file__).resolve().parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT.split("## A new loss on an existing network\n")[1].split("\n## ")[0]
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


def written(folder: Path, old: str = "", new: str = "") -> Path:
    """The example as a file, something of it replaced."""
    path = folder / "asymmetric.py"
    path.write_text(EXAMPLE.replace(old, new) if old else EXAMPLE, encoding="utf-8")
    return path


def asymmetric(folder: Path, **params: Any) -> Any:
    return Registry([written(folder)]).methods["resnet18-asymmetric"].load()(**params)


def trained(network: Any) -> Any:
    """After one iteration on small faces."""
    faces = some_faces(24, side=48, colour="rgb")
    network.set_params(length=0.25, size=32)
    network.setting = Setting(budget="smoke")
    network.fit(faces.take(slice(0, 16)), np.random.default_rng(0), faces.take(slice(16, 24)))
    return network.scores(faces)


def test_the_example_is_listed_and_described(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = written(tmp_path)
    done = bench("list", "methods", "--json", "--plugins", path)
    (row,) = (
        row for row in json.loads(done.stdout)["methods"] if row["name"] == "resnet18-asymmetric"
    )
    assert (row["kind"], row["state"]) == ("network", "ready")
    assert row["about"] == EXAMPLE.split("\n")[0].strip('"')
    done = bench("info", "resnet18-asymmetric", "--plugins", path)
    named = {line.split()[0] for line in done.stdout.split("parameters\n")[1].splitlines() if line}
    assert named >= {"gamma", "margin", "loss", "length"}


@pytest.mark.filterwarnings("ignore")
def test_the_example_gives_other_numbers_than_resnet18(tmp_path: Path) -> None:
    plain = trained(method_class("resnet18")())
    assert np.array_equal(trained(method_class("resnet18")()), plain)
    assert not np.array_equal(trained(asymmetric(tmp_path)), plain)
    # Where there is one class of each face, the loss above is heard: the networks are the same.
    one_class = trained(asymmetric(tmp_path, target="argmax"))
    assert np.array_equal(one_class, trained(method_class("resnet18")(target="argmax")))


@pytest.mark.parametrize(("gamma", "margin"), [(4.0, 0.05), (0.0, 0.0), (1.5, 0.4)])
def test_the_loss_of_the_example_by_loops(tmp_path: Path, gamma: float, margin: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(5, 3, generator=generator, dtype=torch.float64)
    labels = (torch.rand(5, 3, generator=generator) < 0.4).double()
    network = asymmetric(tmp_path, gamma=gamma, margin=margin)
    loss = network.loss(Output(logits, logits), Batch(logits, labels, labels)).loss
    total = 0.0
    for z, y in zip(logits.flatten().tolist(), labels.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        q = max(p - margin, 0.0)
        total -= math.log(p) if y else q**gamma * math.log(1 - q)
    assert float(loss) == pytest.approx(total / 15, rel=1e-12)
    large = torch.tensor([[60.0, -60.0, 0.0]], requires_grad=True)
    for truth in (torch.zeros(1, 3), torch.ones(1, 3)):
        extreme: Tensor = network.loss(Output(large, large), Batch(large, truth, truth)).loss
        (gradient,) = torch.autograd.grad(extreme, large)
        assert bool(extreme.isfinite())
        assert bool(gradient.isfinite().all())


def test_without_focus_and_margin_it_is_the_binary_cross_entropy(tmp_path: Path) -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = (logits > 0.3).double()
    network = asymmetric(tmp_path, gamma=0.0, margin=0.0)
    out, batch = Output(logits, logits), Batch(logits, labels, labels)
    above = method_class("resnet18")()
    above.kind_ = "multi"
    torch.testing.assert_close(network.loss(out, batch).loss, above.loss(out, batch).loss)


def test_the_example_passes_the_check(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = bench("check", written(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resnet18-asymmetric: overridden hooks are called: ok" in done.stdout


def test_a_loss_that_raises_fails_the_check(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = written(
        tmp_path, "return Terms(-(present + absent).mean())", "raise KeyError('no loss')"
    )
    done = bench("check", path)
    assert done.returncode == 1
    assert re.search(
        r"resnet18-asymmetric: overridden hooks are called: failed: KeyError "
        r"\(asymmetric\.py:\d+\): 'no loss'",
        done.stdout,
    )


def test_a_parameter_named_as_the_hook_is_refused_in_one_sentence(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = written(tmp_path, "    gamma: float", "    loss: str = param('asl')\n    gamma: float")
    path.write_text(path.read_text().replace("def loss", "def other_loss"), encoding="utf-8")
    sentence = (
        "AsymmetricResNet18: the parameter loss of AsymmetricResNet18 hides the method loss of "
        "ResNet18; give it another name, which may be spelled alike: loss_name: … = param(…, "
        "spelling='loss')"
    )
    done = bench("check", path)
    assert done.returncode == 1
    assert sentence in done.stdout
    done = bench("info", "resnet18-asymmetric", "--plugins", path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    both = written(tmp_path, "    gamma: float", "    loss: str = param('asl')\n    gamma: float")
    done = bench("check", both)
    assert done.returncode == 1
    assert "the method loss hides the parameter loss; give one of them another name" in done.stdout
