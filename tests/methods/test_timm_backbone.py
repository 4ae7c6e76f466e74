"""`timm:NAME` against timm itself, on its own tiny test networks; no network is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from builtin import method_class
from faces import faces_of, noise
from huggingface_hub import constants
from runs import records_of
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode, functional

from bench.api import BenchError, FaceSet, UnavailableError
from bench.data.files import sha256
from bench.plugins import Registry
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.store import Store

Timm = method_class("timm:test_resnet")
TAG = "test_resnet.r160_in1k"


def faces(n: int = 3) -> FaceSet:
    return faces_of(noise(n, 70, 70, 3))


def saved(path: Path, name: str = "test_resnet", classes: int = 1000, **more: Any) -> Path:
    """Weights as timm saves them, of a network that was never trained."""
    torch.manual_seed(5)
    state = timm.create_model(name, num_classes=classes).state_dict() | more
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def expected(path: Path, name: str) -> np.ndarray:
    """timm's own pooled features, the faces prepared image by image as timm's settings say."""
    model = timm.create_model(name, num_classes=0)
    model.load_state_dict(torch.load(path, weights_only=True), strict=False)
    model.eval()
    settings = timm.data.resolve_model_data_config(model)
    how = InterpolationMode(settings["interpolation"])
    images = faces().images
    assert images is not None
    rows = []
    for image in images:
        x = torch.from_numpy(image.copy()).permute(2, 0, 1) / 255
        x = functional.resize(x, settings["input_size"][1:], how, antialias=True).clamp(0, 1)
        x = functional.normalize(x, settings["mean"], settings["std"])
        rows.append(model(x[None]).detach().numpy()[0])
    return np.array(rows)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet"])
def test_vectors_are_timms_pooled_features(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / "own.pth", name)
    wanted = expected(path, name)
    made = Timm(member=name, weights=str(path))
    found = made.transform(faces())
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert len(np.unique(found, axis=0)) == 3
    np.testing.assert_allclose(found, wanted, atol=1e-4 * float(np.abs(wanted).max()))
    assert made.remarks()[0].startswith(f"timm:{name}: weights own.pth (SHA-256 ")
    assert "state_dict" not in made._loaded.network.pretrained_cfg  # it would be kept in memory


@pytest.mark.parametrize("kind", ["safetensors", "seven classes", "no head", "wrapped"])
def test_every_file_of_one_network_gives_the_same(tmp_path: Path, kind: str) -> None:
    plain = saved(tmp_path / "plain.pth")
    state = torch.load(plain, weights_only=True)
    path = tmp_path / ("own.safetensors" if kind == "safetensors" else "own.pth")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "wrapped":
        torch.save({"epoch": 9, "state_dict": state}, path)
    else:
        body = {name: value for name, value in state.items() if not name.startswith("fc.")}
        head = {"fc.weight": torch.ones(7, state["fc.weight"].shape[1]), "fc.bias": torch.ones(7)}
        torch.save(body | (head if kind == "seven classes" else {}), path)
    first, second = (
        Timm(member="test_resnet", weights=str(one)).transform(faces()) for one in (plain, path)
    )
    np.testing.assert_array_equal(first, second)


def test_a_checkpoint_gives_its_moving_average_and_the_record_says_so(tmp_path: Path) -> None:
    mean = torch.load(saved(tmp_path / "mean.pth"), weights_only=True)
    last = {name: value / 2 if value.is_floating_point() else value for name, value in mean.items()}
    torch.save({"state_dict": last, "state_dict_ema": mean}, tmp_path / "checkpoint.pth")
    made = Timm(member="test_resnet", weights=str(tmp_path / "checkpoint.pth"))
    alone = Timm(member="test_resnet", weights=str(tmp_path / "mean.pth"))
    np.testing.assert_array_equal(made.transform(faces()), alone.transform(faces()))
    assert "…), its state_dict_ema, not its state_dict; pooled" in made.remarks()[0]
    assert "its" not in alone.remarks()[0].split(";")[0]


def test_random_weights_are_timms_own_and_always_the_same() -> None:
    first = Timm(member="test_vit", weights="random")
    torch.manual_seed(9)
    second = Timm(member="test_vit", weights="random")
    np.testing.assert_array_equal(first.transform(faces()), second.transform(faces()))
    assert first.weights_used() == "random"


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_weights_of_another_network_are_refused(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / "own.pth", name)
    with pytest.raises(BenchError, match=r"another network than timm:test_resnet: \d+ of its keys"):
        Timm(member="test_resnet", weights=str(path)).weights_used()


def test_one_key_too_few_or_too_many_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "own.pth", extra=torch.ones(1))
    with pytest.raises(BenchError, match=r"than timm:test_resnet: 1 keys it does not have \(extra"):
        Timm(member="test_resnet", weights=str(path)).transform(faces())
    state = torch.load(path, weights_only=True)
    del state["extra"], state["conv1.weight" if "conv1.weight" in state else "conv1.0.weight"]
    torch.save(state, path)
    with pytest.raises(BenchError, match=r"1 of its keys are missing \(conv1"):
        Timm(member="test_resnet", weights=str(path)).transform(faces())


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("resnet_50", r"timm:resnet_50: timm .+ has no such model; did you mean .*resnet50"),
        ("resnet50.a9_in1k", r"has no such model; did you mean resnet50\.\w+_in1k or"),
        ("qqqqqqqq", r"has no such model; timm.list_models\(\) names them all"),
        ("hf-hub:timm/resnet50", "has no such model"),
    ],
)
def test_unknown_models_are_told_with_near_names(member: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        Timm(member=member)


@pytest.fixture
def hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""

    def offline(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("member", ["test_resnet", TAG])
def test_default_weights_are_read_from_the_cache(hugging_face: Path, member: str) -> None:
    with pytest.raises(UnavailableError) as refused:
        Timm(member=member).weights_used()
    assert str(refused.value) == (
        f"timm:{member} needs timm/{TAG} of huggingface.co: run timm.create_model('{member}', "
        f"pretrained=True) once online, or pass timm:{member}[weights=PATH]"
    )
    commit = "0" * 40
    repository = hugging_face / f"models--timm--{TAG}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    path = saved(repository / "snapshots" / commit / "model.safetensors")
    made = Timm(member=member)
    assert made.weights_used() == sha256(path)
    same = Timm(member=member, weights=str(path)).transform(faces())
    np.testing.assert_array_equal(made.transform(faces()), same)


def test_a_model_without_weights_says_so() -> None:
    with pytest.raises(
        UnavailableError, match=r"timm has no pretrained weights for timm:botnet50ts"
    ):
        Timm(member="botnet50ts_256").weights_used()


def test_a_run_keeps_the_hash_and_the_name(tiny: Path, tmp_path: Path) -> None:
    path = saved(tmp_path / "own.safetensors")
    methods = f"timm:test_resnet[weights={path}|random]+mlknn[k=3]"
    plan = make_plan(Registry([tiny]), RunOptions("tiny", methods, device="cpu"))
    store = Store(tmp_path / "results")
    records = records_of(plan, store)
    assert [one.status for one in records] == ["ok", "ok"]
    assert [one.cell.features for one in records] == ["timm:test_resnet"] * 2
    assert [one.cell.weights for one in records] == [sha256(path), "random"]
    assert records[0].criteria != records[1].criteria
