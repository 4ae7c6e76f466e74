"""MF-JLE's views, fusion, placebos and refusals; six networks as one grouped network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.mf_jle import GroupedResNets, SeparateResNets, face_sides, local_crops
from builtin import configured
from torch import Tensor

from bench.api import BenchError, FaceSet, InputError
from bench.data.landmarks import TEMPLATE
from bench.nn.losses.binary import softmax_binary_cross_entropy
from bench.nn.output import Batch, Output

POINTS = np.array([[14, 16], [34, 16], [24, 28], [17, 37], [31, 37]], dtype=float)


def method(**params: Any) -> Any:
    return configured("mf-jle", "smoke", **params)


def faces(count: int = 4, **more: Any) -> FaceSet:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 48, 48, 3), dtype=np.uint8)
    labels = rng.random((count, 3)) < 0.5
    return FaceSet(
        "noise",
        "multi",
        ("a", "b", "c"),
        np.array([f"{row:04d}" for row in range(count)]),
        labels,
        images,
        landmarks=np.tile(POINTS, (count, 1, 1)),
        **more,
    )


def views(made: Any, given: FaceSet, generator: torch.Generator | None = None) -> torch.Tensor:
    rows = torch.arange(len(given))
    return made.inputs(made.keep(given).take(rows), given, rows, generator)


def test_the_face_comes_first_and_crops_lie_round_the_landmarks() -> None:
    made = method()
    given = faces(5)
    # On face i a white spot at landmark i, black elsewhere.
    images = np.zeros_like(given.images)
    for i, (x, y) in enumerate(POINTS.astype(int)):
        images[i, y - 1 : y + 1, x - 1 : x + 1] = 255
    seen = views(made, replace(given, images=images))
    size = made.recipe.size
    assert seen.shape == (5, 6, 3, size, size)
    for i in range(5):
        bright = (seen[i, 1 + i].sum(dim=0) > seen[i, 1 + i].sum(dim=0).mean() + 1).nonzero()
        centre = bright.double().mean(dim=0) + 0.5
        assert (centre - size / 2).abs().max() <= 1


def test_a_mirrored_face_swaps_left_and_right() -> None:
    made = method()
    given = faces(1)
    plain = views(made, given)
    turned_points = given.landmarks[:, [1, 0, 2, 4, 3]] * [-1, 1] + [48, 0]  # type: ignore[index]
    turned = replace(given, images=given.images[:, :, ::-1].copy(), landmarks=turned_points)  # type: ignore[index]
    module = __import__(type(made).__module__, fromlist=["mirrored"])
    pixels = torch.from_numpy(given.images).permute(0, 3, 1, 2).float()
    points = torch.from_numpy(given.landmarks).float()
    for draw, expected in ((0.2, turned), (0.8, given)):
        images, moved = module.mirrored(pixels, points, torch.tensor([draw]))
        assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), expected.images)
        assert np.allclose(moved.numpy(), expected.landmarks)
    # The left eye of the mirrored face is the right one, mirrored.
    seen = views(made, turned)
    assert torch.allclose(seen[0, 1], plain[0, 2].flip(2), atol=1e-3)
    assert torch.allclose(seen[0, 4], plain[0, 5].flip(2), atol=1e-3)
    assert torch.allclose(seen[0, 3], plain[0, 3].flip(2), atol=1e-3)


def test_placebos_show_other_things_of_the_same_shape() -> None:
    given = faces()
    true = views(method(), given)
    whole = views(method(parts="global"), given)
    assert all(torch.equal(whole[:, m], whole[:, 0]) for m in range(6))
    drawn = views(method(parts="random"), given)
    assert torch.equal(drawn[:, 0], true[:, 0])
    assert not torch.allclose(drawn[:, 1:], true[:, 1:])
    assert torch.equal(drawn[2:], views(method(parts="random"), given.take(slice(2, 4))))


def test_the_loss_is_eq_1_with_a_weight_for_each_part() -> None:
    made = method(lam=0.02, nose=0.5)
    assert made.weights() == [0.02, 0.02, 0.5, 0.02, 0.02]
    torch.manual_seed(0)
    parts = torch.randn(4, 6, 3, dtype=torch.float64)
    labels = (torch.rand(4, 3) < 0.5).double()
    out = Output(torch.zeros(4, 1), parts[:, 0], parts)
    found = made.loss(out, Batch(torch.zeros(0), labels, labels))
    expected = []
    for m in range(6):
        p = 1 / (1 + np.exp(-parts[:, m].numpy()))
        y = labels.numpy()
        expected.append(float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()))
    total = expected[0] + sum(w * e for w, e in zip(made.weights(), expected[1:], strict=True))
    assert float(found.loss) == pytest.approx(total, rel=1e-10)
    assert [float(v) for v in found.parts.values()] == pytest.approx(expected, rel=1e-10)
    assert list(found.parts) == [
        "global", "left_eye", "right_eye", "nose", "left_mouth", "right_mouth"
    ]  # fmt: skip


def test_softmax_is_the_multi_label_cross_entropy() -> None:
    made = method(objective="softmax", lam=0.0)
    assert made.sigmoid is False
    parts = torch.randn(2, 6, 3, dtype=torch.float64)
    shares = torch.tensor([[0.5, 0.5, 0], [0, 0.2, 0.8]], dtype=torch.float64)
    found = made.loss(
        Output(torch.zeros(2, 1), parts[:, 0], parts), Batch(torch.zeros(0), shares, shares)
    )
    expected = -(shares * parts[:, 0].log_softmax(dim=1)).sum(dim=1).mean()
    assert float(found.loss) == pytest.approx(float(expected))


def test_the_printed_objective_is_binary_on_softmax_probabilities() -> None:
    made = method(objective="printed", lam=0.1)
    assert made.sigmoid is False
    torch.manual_seed(1)
    parts = 2 * torch.randn(3, 6, 4, dtype=torch.float64)
    labels = (torch.rand(3, 4) < 0.5).double()
    found = made.loss(Output(torch.zeros(3, 1), parts[:, 0], parts), Batch(parts, labels, labels))
    y, expected = labels.numpy(), []
    for m in range(6):
        p = np.exp(parts[:, m].numpy())
        p /= p.sum(axis=1, keepdims=True)
        expected.append(float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()))
    total = expected[0] + 0.1 * sum(expected[1:])
    assert float(found.loss) == pytest.approx(total, rel=1e-10)
    # Probabilities are added with the weights of Eq. 1, and their sum is what the scores are.
    network = made.build(4, 3).eval()
    with torch.no_grad():
        out = network(torch.randn(2, 6, 3, 32, 32))
    assert out.parts is not None
    p = out.parts.softmax(dim=2).numpy()
    fused = (p[:, 0] + 0.1 * p[:, 1:].sum(axis=1)) / 1.5
    np.testing.assert_allclose(out.logits.softmax(dim=1).numpy(), fused, atol=1e-6)


def test_the_printed_objective_stands_any_logit() -> None:
    logits = torch.tensor([[500.0, -500.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    softmax_binary_cross_entropy(logits, labels).backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_faces_that_were_not_found_are_refused_on_request() -> None:
    found = np.array([True, False, True, False])
    with pytest.raises(BenchError, match="no face was found in 2 of 4 images"):
        method(missing="refuse").keep(faces(landmarks_found=found))
    assert len(method().keep(faces(landmarks_found=found))) == 4
    with pytest.raises(BenchError, match="needs landmarks"):
        method().keep(replace(faces(), landmarks=None))


def test_the_record_says_which_path_ran_and_what_the_fusion_changes() -> None:
    made = method(path="grouped", lam=0.5).fit(faces(24), np.random.default_rng(0), faces(8))
    remarks = " ".join(made.remarks())
    assert "six networks, grouped" in remarks
    assert "of 24 labels of the validation part" in remarks
    out = made.forward(faces(8))
    flipped = int(((out.parts[:, 0] >= 0) != (out.logits >= 0)).sum())
    assert f"flip {flipped} of 24" in remarks


# -- grouped --------------------------------------------------------------------------------------

NETWORKS, LABELS = 3, 4


@pytest.fixture
def both() -> tuple[SeparateResNets, GroupedResNets]:
    torch.manual_seed(0)
    separate = SeparateResNets(NETWORKS, LABELS).double()
    return separate, GroupedResNets(list(separate.networks)).double()  # type: ignore[arg-type]


def images() -> Tensor:
    return torch.rand(5, NETWORKS, 3, 33, 33, dtype=torch.float64)


def close(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=1e-9, atol=1e-11)


def test_outputs_are_those_of_each_network_alone(
    both: tuple[SeparateResNets, GroupedResNets],
) -> None:
    separate, grouped = both
    x = images()
    for module in (*both, *separate.networks):
        module.eval()
    embeddings, logits = grouped(x)
    assert embeddings.shape == (5, NETWORKS, 512)
    assert all(close(a, b) for a, b in zip(separate(x), (embeddings, logits), strict=True))
    for m, network in enumerate(separate.networks):
        out = network(x[:, m])
        assert close(out.embedding, embeddings[:, m])
        assert close(out.logits, logits[:, m])


def test_gradients_and_running_statistics_agree(
    both: tuple[SeparateResNets, GroupedResNets],
) -> None:
    separate, grouped = both
    x = images()
    for module in both:
        module.train()
        module(x)[1].square().sum().backward()
    first = [dict(network.named_parameters()) for network in separate.networks]
    for name, parameter in grouped.named_parameters():
        key = {"weight": "fc.weight", "bias": "fc.bias"}.get(name, name.removeprefix("body."))
        gradients = [own[key].grad for own in first]
        together = torch.stack(gradients) if key.startswith("fc.") else torch.cat(gradients)
        assert parameter.grad is not None
        scale = together.abs().max()
        assert (parameter.grad - together).abs().max() < 1e-8 * scale, name
    for name, buffer in grouped.named_buffers():
        if "running" in name:
            key = name.removeprefix("body.")
            assert close(buffer, torch.cat([n.get_buffer(key) for n in separate.networks])), name


def test_networks_share_nothing(both: tuple[SeparateResNets, GroupedResNets]) -> None:
    for module in both:
        module.eval()
        x = images()
        before = module(x)[1]
        x[:, 1] = 0
        after = module(x)[1]
        assert close(before[:, 0], after[:, 0])
        assert close(before[:, 2], after[:, 2])
        assert not close(before[:, 1], after[:, 1])


# --------------------------------------------------- local crops, against loops over pixels


def slow_crop(image: np.ndarray, centre: np.ndarray, side: float, size: int) -> np.ndarray:
    """One crop of (C, H, W) by its definition, pixel by pixel, in float64."""
    height, width = image.shape[1:]
    out = np.empty((len(image), size, size))
    for row in range(size):
        for column in range(size):
            # Corner coordinates of the sample, then in pixel centres, kept inside the image.
            x = centre[0] + ((column + 0.5) / size - 0.5) * side - 0.5
            y = centre[1] + ((row + 0.5) / size - 0.5) * side - 0.5
            x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
            left, top = int(x), int(y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            upper = image[:, top, left] * (1 - x + left) + image[:, top, right] * (x - left)
            lower = image[:, bottom, left] * (1 - x + left) + image[:, bottom, right] * (x - left)
            out[:, row, column] = upper * (1 - y + top) + lower * (y - top)
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("height", "width", "size"), [(20, 20, 16), (14, 22, 7)])
def test_local_crops_equal_the_slow_computation(
    dtype: torch.dtype, height: int, width: int, size: int
) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((3, 2, height, width))
    # Some points near or beyond the border.
    landmarks = rng.uniform(-2, 1.1 * width, (3, 5, 2))
    sides = np.array([3.0, 0.5 * min(height, width), 11.5])
    found = local_crops(
        torch.tensor(images, dtype=dtype), torch.tensor(landmarks), torch.tensor(sides), size
    )
    assert found.dtype == dtype
    assert found.shape == (3, 5, 2, size, size)
    for i in range(3):
        for point in range(5):
            expected = slow_crop(images[i], landmarks[i, point], sides[i], size)
            np.testing.assert_allclose(found[i, point], expected, atol=1e-5)


def test_a_crop_on_the_grid_is_a_cut() -> None:
    images = torch.rand(1, 3, 20, 20, dtype=torch.float64)
    points = torch.tensor([[[10.0, 10], [4, 4], [16, 4], [4, 16], [16, 12]]])
    crops = local_crops(images, points, torch.tensor([8.0]), size=8)
    for crop, (x, y) in zip(crops[0], points[0].long().tolist(), strict=True):
        torch.testing.assert_close(crop, images[0, :, y - 4 : y + 4, x - 4 : x + 4])


def test_the_border_repeats_outside() -> None:
    images = torch.rand(1, 1, 10, 10, dtype=torch.float64)
    crops = local_crops(images, torch.zeros(1, 5, 2), torch.tensor([4.0]), size=4)
    torch.testing.assert_close(crops[0, 0, 0, :2, :2], images[0, 0, :1, :1].expand(2, 2))
    torch.testing.assert_close(crops[0, 0, 0, 2:, 2:], images[0, 0, :2, :2])


def test_gradients_reach_the_image() -> None:
    images = torch.rand(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    landmarks = torch.rand(2, 5, 2, dtype=torch.float64) * 6

    def crops(x: torch.Tensor) -> torch.Tensor:
        return local_crops(x, landmarks, torch.tensor([3.0, 2.0]), 3)

    assert torch.autograd.gradcheck(crops, images)


def test_local_crops_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(b, 5, 2\)"):
        local_crops(torch.zeros(2, 3, 10, 10), torch.zeros(1, 5, 2), torch.ones(2), 8)
    with pytest.raises(InputError, match=r"sides \(b\)"):
        local_crops(torch.zeros(2, 3, 10, 10), torch.zeros(2, 5, 2), torch.ones(1), 8)


# ------------------------------------------------------------------- the face's side


def template(side: float) -> torch.Tensor:
    """The five landmarks of a face that fills a square of this side as RAF-ML's faces do."""
    return torch.tensor(TEMPLATE[None] * side, dtype=torch.float64)


def test_an_aligned_face_is_as_large_as_its_image() -> None:
    torch.testing.assert_close(face_sides(template(100)), torch.tensor([100.0]).double())
    torch.testing.assert_close(face_sides(template(48)), torch.tensor([48.0]).double())


def test_a_face_in_a_photograph_has_its_own_side_wherever_it_lies() -> None:
    """JAFFE's photographs have 256 pixels and their faces about half of them."""
    angle = torch.tensor(0.3)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).reshape(2, 2)
    moved = template(130) @ turn.double() + torch.tensor([70.0, 90.0])
    torch.testing.assert_close(face_sides(moved), torch.tensor([130.0]).double())


def test_a_smile_and_a_wide_nose_make_no_larger_face() -> None:
    points = template(100)
    points[0, 3, 0], points[0, 4, 0] = points[0, 3, 0] - 5, points[0, 4, 0] + 5
    points[0, 2, 1] += 4
    torch.testing.assert_close(face_sides(points), torch.tensor([100.0]).double())


def test_local_crops_are_a_share_of_the_face_and_not_of_the_picture() -> None:
    """The same face, 48 pixels large, in a picture of 48 and in one of 144."""
    made = method()
    close = faces(2)
    images = np.zeros((2, 144, 144, 3), np.uint8)
    images[:, 40:88, 30:78] = close.images
    assert close.landmarks is not None
    far = replace(close, images=images, landmarks=close.landmarks + np.array([30.0, 40.0]))
    near_crops, far_crops = views(made, close)[:, 1:], views(made, far)[:, 1:]
    middle = slice(12, 20)  # what lies inside both pictures, whatever the landmark
    torch.testing.assert_close(
        near_crops[..., middle, middle], far_crops[..., middle, middle], atol=1e-4, rtol=1e-4
    )
