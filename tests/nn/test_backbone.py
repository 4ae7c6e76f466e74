"""What backbones share: batches, pixels, devices, refusals; on a network of three numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faces import faces_of, noise
from PIL import Image
from torch import nn

from bench.api import BenchError, FaceSet, Setting
from bench.data.prepare import prepare
from bench.nn import backbone
from bench.nn.backbone import Backbone, InputFormat
from bench.nn.weights import load_weights


class Colours(Backbone):
    """Mean of each colour, times weights. Reference: none."""

    name = "colours"
    size = (6, 6)
    interpolation = "bilinear"

    def published(self) -> Path:
        raise AssertionError("not asked for")

    def network(self, path: Path | None) -> nn.Module:
        made = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3, bias=False))
        if path is None:
            nn.init.eye_(made[2].weight)
        else:
            load_weights(path, made, self.name)
        return made

    def input_format(self, network: nn.Module) -> InputFormat:
        return InputFormat(self.size, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3), self.interpolation)

    def layer_name(self) -> str:
        return "means"


def faces(n: int = 5, height: int = 6, width: int = 6) -> FaceSet:
    return faces_of(noise(n, height, width, 3))


def test_faces_are_normalised_by_the_weights_mean_and_deviation() -> None:
    given = faces()
    assert given.images is not None
    expected = (given.images.mean(axis=(1, 2)) / 255 - [0.5, 0.4, 0.3]) / [0.1, 0.2, 0.3]
    found = Colours(weights="random").transform(given)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 4), (31, 40)])
def test_resizing_agrees_with_pillows(interpolation: str, size: tuple[int, int]) -> None:
    (image,) = np.asarray(faces(1, 20, 16).images) // 3 + 80  # so that nothing overshoots
    pixels = InputFormat(size, (0, 0, 0), (1, 1, 1), interpolation)
    found = backbone._normalised(torch.from_numpy(image[None]), pixels)
    assert found.shape == (1, 3, *size)
    assert found.is_contiguous(memory_format=torch.channels_last)
    how = Image.Resampling[interpolation.upper()]
    expected = np.asarray(Image.fromarray(image).resize(size[::-1], how)) / 255
    # Pillow rounds to whole grey levels after each of its two passes.
    np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy(), expected, atol=2 / 255)


def test_what_the_bicubic_filter_overshoots_is_cut_off() -> None:
    image = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    image[:, :, 4:] = 255
    found = backbone._normalised(image, InputFormat((24, 24), (0, 0, 0), (1, 1, 1), "bicubic"))
    assert found.min() == 0
    assert found.max() == 1


def test_a_vector_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Colours(weights="random").transform(faces())
    monkeypatch.setattr(backbone, "BATCH", 2)
    np.testing.assert_allclose(Colours(weights="random").transform(faces()), whole, atol=1e-5)
    assert Colours(weights="random").transform(faces(0)).shape == (0, 3)


def test_the_network_is_loaded_once_and_again_only_for_other_parameters(tmp_path: Path) -> None:
    calls = []

    class Counted(Colours):
        def network(self, path: Path | None) -> nn.Module:
            calls.append(path)
            return super().network(path)

    path = tmp_path / "own.pth"
    torch.save({"2.weight": torch.zeros(3, 3)}, path)
    made = Counted(weights="random")
    assert made.remarks() == ()
    assert made.transform(faces()).any()
    assert made.transform(faces()).any()
    assert calls == [None]
    assert made.remarks() == (
        "colours: random weights of seed 0; means; input 6 x 6 pixels; 9 parameters; float32",
    )
    made.set_params(weights=str(path))
    assert not made.transform(faces()).any()
    assert calls == [None, path]
    assert made.remarks()[0].startswith("colours: weights own.pth (SHA-256 ")


def test_a_file_is_tried_once_when_its_hash_is_asked_for(tmp_path: Path) -> None:
    calls = []

    class Tried(Colours):
        def network(self, path: Path | None) -> nn.Module:
            calls.append(path)
            return super().network(path)

    path = tmp_path / "own.pth"
    torch.save({"2.weight": torch.ones(3, 3)}, path)
    digests = {Tried(weights=str(path)).weights_used() for _ in range(3)}
    assert calls == [path]
    assert [len(digest) for digest in digests] == [64]
    assert Tried(weights="random").weights_used() == "random"
    torch.save({"2.weight": torch.ones(4, 3)}, path)
    with pytest.raises(BenchError, match=r"1 of another shape \(2.weight \(4, 3\) for \(3, 3\)\)"):
        Tried(weights=str(path)).weights_used()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 6, 6), r"toy: images must be rgb \(n, H, W, 3\), not \(2, 6, 6\)"),
        ((2, 0, 6, 3), r"images of \(0, 6\) pixels hold nothing"),
    ],
)
def test_wrong_images_are_refused(shape: tuple[int, ...], message: str) -> None:
    wrong = replace(faces(2), images=np.zeros(shape, np.uint8))
    with pytest.raises(BenchError, match=message):
        Colours(weights="random").transform(wrong)


def test_grey_faces_are_repeated_by_the_engine() -> None:
    given = faces()
    assert given.images is not None
    grey = replace(given, images=given.images[..., 0])
    same = replace(given, images=np.repeat(given.images[..., :1], 3, axis=3))
    made = Colours(weights="random")
    np.testing.assert_array_equal(
        made.transform(prepare(grey, Colours.input)), made.transform(same)
    )


def test_precomputed_features_are_refused() -> None:
    vectors = replace(faces(2), images=None, features=np.zeros((2, 3)))
    with pytest.raises(BenchError, match="toy holds precomputed features: colours needs faces"):
        Colours(weights="random").transform(vectors)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    made = Colours(weights="random")
    made.setting = Setting(device="cuda")
    with pytest.raises(BenchError, match=r"--device cuda: .+; use --device cpu"):
        made.transform(faces())


def test_tf32_is_off_while_a_gpu_computes_and_back_afterwards() -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32
    with backbone._plain_float32(torch.device("cuda")):
        assert (cudnn.allow_tf32, cudnn.deterministic, matmul.allow_tf32) == (False, True, False)
        assert cudnn.enabled
    assert before == (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32)


def test_an_output_that_is_no_vector_is_refused() -> None:
    class Maps(Colours):
        def network(self, path: Path | None) -> nn.Module:
            return nn.Identity()

    with pytest.raises(BenchError, match=r"colours gives an output of shape \(5, 3, 6, 6\)"):
        Maps(weights="random").transform(faces())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_gives_what_the_processor_gives() -> None:
    one, other = Colours(weights="random"), Colours(weights="random")
    other.setting = Setting(device="cuda")
    given = faces(9, 20, 20)
    np.testing.assert_allclose(other.transform(given), one.transform(given), atol=1e-4)
