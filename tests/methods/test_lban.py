"""LBAN's layers computed slowly, its sizes against the paper's figure, its weights by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.lban_il import BLOCKS, LBAB, LBAN, LBSL, BinaryConv
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, max_pool2d


def settled(module: nn.Module) -> Any:
    """In float64 and evaluation mode, with statistics as after training."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features)
            layer.running_var = torch.rand(layer.num_features) + 0.5
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return module.double().eval()


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# -- layers ---------------------------------------------------------------------------------------


def test_half_of_the_fixed_weights_are_0_and_the_rest_as_often_1_as_minus_1() -> None:
    weight = BinaryConv(64, 128).weight
    assert weight.shape == (128, 64, 3, 3)
    values, counts = weight.unique(return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    n = weight.numel()
    for count, share in zip(counts.tolist(), (0.25, 0.5, 0.25), strict=True):
        assert abs(count / n - share) < 5 * (share * (1 - share) / n) ** 0.5
    # Each weight by itself: also within a filter, and in no filter exactly half.
    zeros = (weight == 0).flatten(1).float().mean(dim=1)
    assert 0.005 < float(zeros.std()) < 0.05


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 1.0])
def test_sparsity_is_the_share_of_zeros(sparsity: float) -> None:
    zero = (BinaryConv(64, 64, sparsity=sparsity).weight == 0).float().mean()
    assert float(zero) == pytest.approx(sparsity, abs=0.02)


def test_fixed_filters_are_of_the_seed_and_no_parameters() -> None:
    torch.manual_seed(5)
    first = BinaryConv(4, 6)
    torch.manual_seed(5)
    assert torch.equal(BinaryConv(4, 6).weight, first.weight)
    assert not torch.equal(BinaryConv(4, 6).weight, first.weight)
    assert not list(first.parameters())
    assert list(first.state_dict()) == ["weight"]
    assert not first.weight.requires_grad


@pytest.mark.parametrize("stride", [1, 2])
def test_the_fixed_convolution_by_loops(stride: int) -> None:
    layer, x = BinaryConv(3, 2, stride).double(), noise(2, 3, 6, 4)
    found, w = layer(x).numpy(), layer.weight.numpy()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert found.shape == (2, 2, 6 // stride, 4 // stride)
    for n, o, i, j in np.ndindex(*found.shape):
        total = 0.0
        for c in range(3):
            for a in range(3):
                for b in range(3):
                    total += w[o, c, a, b] * padded[n, c, stride * i + a, stride * j + b]
        assert found[n, o, i, j] == pytest.approx(total, abs=1e-12)


def normalised(x: Tensor, norm: Any) -> Tensor:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_layer_step_by_step(block: str, stride: int) -> None:
    layer, x = settled(LBSL(3, 5, stride, block)), noise(2, 3, 6, 6)
    weights = [m.weight for m in layer.layers if isinstance(m, nn.Conv2d | BinaryConv)]
    (norm,) = [m for m in layer.layers if isinstance(m, nn.BatchNorm2d)]
    y = conv2d(x, weights[0], stride=stride, padding=1)
    if block == "conv":
        y = normalised(y, norm).clamp(min=0)
    else:
        y = torch.einsum("oc,nchw->nohw", weights[1][:, :, 0, 0], y.clamp(min=0))
        if "std" in block:
            y = conv2d(y.clamp(min=0), weights[2], padding=1)
        y = normalised(y, norm)
    if "skip" in block:
        projection, norm = layer.skip
        taken = x[:, :, ::stride, ::stride]
        taken = torch.einsum("oc,nchw->nohw", projection.weight[:, :, 0, 0], taken)
        y = y + normalised(taken, norm)
    else:
        assert layer.skip is None
    assert len(weights) == (1 if block == "conv" else 2 + ("std" in block))
    torch.testing.assert_close(layer(x), y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", BLOCKS)
def test_only_the_filters_of_lbc_are_fixed(block: str) -> None:
    layer = LBSL(3, 5, 1, block)
    fixed = [m for m in layer.modules() if isinstance(m, BinaryConv)]
    assert len(fixed) == ("lbc" in block)
    layer(torch.randn(4, 3, 6, 6)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in layer.parameters())


@pytest.mark.parametrize("samplings", [0, 1, 2])
def test_an_attention_block_step_by_step(samplings: int) -> None:
    block, x = settled(LBAB(4, samplings, "lbc+std+skip")), noise(2, 4, 8, 8)
    g = block.trunk(x)
    encoder, decoder, ups = list(block.encoder), list(block.decoder), list(block.up)

    def up(which: int, small: Tensor) -> Tensor:
        layer = ups[which]
        assert (layer.kernel_size, layer.stride) == ((4, 4), (2, 2))
        return conv_transpose2d(small, layer.weight, layer.bias, stride=2, padding=1)

    if samplings == 0:
        y = decoder[0](encoder[0](x) + x)
    elif samplings == 1:
        y = decoder[0](up(0, encoder[0](max_pool2d(x, 2))) + x)
    else:
        half = encoder[0](max_pool2d(x, 2))
        quarter = encoder[1](max_pool2d(half, 2))
        y = decoder[1](up(1, decoder[0](up(0, quarter) + half)) + x)
    first, _, second = block.gate
    y = conv2d(conv2d(y, first.weight, first.bias).clamp(min=0), second.weight, second.bias)
    a = 1 / (1 + (-y).exp())
    assert len(encoder) == len(decoder) == max(samplings, 1)
    assert bool(((a > 0) & (a < 1)).all())
    torch.testing.assert_close(block.attend(x), a, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(block(x), (1 + a) * g, rtol=1e-12, atol=1e-12)


def test_without_attention_a_block_is_its_trunk() -> None:
    block, x = settled(LBAB(4, 2, "conv", attention=False)), noise(2, 4, 8, 8)
    assert torch.equal(block(x), block.trunk(x))
    assert sum(p.numel() for p in block.parameters()) == sum(
        p.numel() for p in block.trunk.parameters()
    )


# -- the network ----------------------------------------------------------------------------------


def on_meta(labels: int = 7, **more: Any) -> LBAN:
    with torch.device("meta"):
        return LBAN(labels, 3, **more).eval()


@pytest.mark.parametrize(
    ("size", "sides"), [(80, (80, 40, 40, 20, 20, 10, 10)), (40, (40, 20, 20, 10, 10, 5, 5))]
)
def test_maps_have_the_sizes_of_the_figure(size: int, sides: tuple[int, ...]) -> None:
    model, seen = on_meta(), []
    inside: list[tuple[int, ...]] = []

    def note(_: nn.Module, __: Any, gave: Tensor) -> None:
        seen.append(tuple(gave.shape[1:]))

    for layer in model.layers:
        if isinstance(layer, nn.Conv2d | LBSL | LBAB | nn.AdaptiveAvgPool2d):
            layer.register_forward_hook(note)
        if isinstance(layer, LBAB):
            for each in (*layer.encoder, *layer.decoder):
                each.register_forward_hook(lambda _, __, gave: inside.append(gave.shape[-1]))
    out = model(torch.zeros(2, 3, size, size, device="meta"))
    channels = (64, 128, 128, 256, 256, 512, 512)
    expected = [(c, s, s) for c, s in zip(channels, sides, strict=True)]
    assert seen == [*expected, (512, 5, 5)]
    a, b, c = sides[1], sides[3], sides[5]
    assert inside == [a // 2, a // 4, a // 2, a, b // 2, b, c, c]
    assert (out.embedding.shape, out.logits.shape) == ((2, 128), (2, 7))


# LBAN-IL, section 2, Table 2; each line by hand from channels and kernels.
LAYERS = (
    # inputs, outputs, layers of it: one before each block; trunk, encoders and decoders within
    (64, 128, 1),
    (128, 128, 5),
    (128, 256, 1),
    (256, 256, 3),
    (256, 512, 1),
    (512, 512, 3),
)
FIXED = 9 * sum(i * o * n for i, o, n in LAYERS)  # 3×3; as many filters as outputs
POINTWISE = sum(o * o * n for _, o, n in LAYERS)  # 1×1 of LBC
STANDARD = 9 * POINTWISE  # 3×3 from outputs to outputs
NORM = sum(2 * o * n for _, o, n in LAYERS)
SKIP = sum(i * o * n for i, o, n in LAYERS) + NORM  # 1×1 projections
STEM = 9 * 3 * 64 + 2 * 64  # the first convolution, its batch normalisation
DECONVOLUTIONS = 2 * (16 * 128**2 + 128) + (16 * 256**2 + 256)  # 4×4, two and one samplings
GATES = sum(2 * (c * c + c) for c in (128, 256, 512))  # two 1×1 with biases
HEAD = 5 * 5 * 512 * 128 + 128 + 128 * 7 + 7
AROUND = STEM + NORM + DECONVOLUTIONS + GATES + HEAD


def counts(model: nn.Module) -> tuple[int, int]:
    """Learned weights, and fixed ones."""
    fixed = sum(m.weight.numel() for m in model.modules() if isinstance(m, BinaryConv))
    return sum(p.numel() for p in model.parameters()), fixed


def test_lban_has_19_247_175_weights() -> None:
    assert (FIXED, POINTWISE, STANDARD) == (11_132_928, 1_409_024, 12_681_216)
    assert (SKIP, NORM) == (1_236_992 + 7_680, 7_680)
    by_hand = AROUND + POINTWISE + STANDARD + SKIP
    assert by_hand == 19_247_175
    assert counts(on_meta()) == (by_hand, FIXED)
    assert abs(by_hand / 19.8e6 - 1) < 0.05  # Table 2


@pytest.mark.parametrize(
    ("block", "learned", "fixed", "facts", "paper"),
    [
        ("lbc+std+skip", POINTWISE + STANDARD + SKIP, FIXED, 19.24, 19.8),
        ("lbc+skip", POINTWISE + SKIP, FIXED, 17.69, 18.0),
        ("lbc", POINTWISE, FIXED, 16.45, 16.7),
        ("sc+std", FIXED + POINTWISE + STANDARD, 0, 29.14, 29.4),
        ("sc+std+skip", FIXED + POINTWISE + STANDARD + SKIP, 0, 30.38, 30.7),
    ],
)
def test_variants_have_the_weights_of_table_2(
    block: str, learned: int, fixed: int, facts: float, paper: float
) -> None:
    found = counts(on_meta(block=block))
    assert found == (AROUND + learned, fixed)
    # The two rows of LBC alone evidently count the fixed weights, the last row says it does not.
    shown = found[0] if block == "lbc+std+skip" else sum(found)
    assert shown / 1e6 == pytest.approx(facts, abs=0.01)
    assert shown / 1e6 == pytest.approx(paper, rel=0.03)


def test_what_stands_in_for_local_binary_layers_and_without_attention() -> None:
    plain = [9 * i * o + 2 * o for i, o, _ in LAYERS]
    basic = STEM + sum(plain) + HEAD
    assert counts(on_meta(block="conv", attention=False)) == (basic, 0)
    more = sum((9 * o * o + 2 * o) * (n - 1) for _, o, n in LAYERS)
    with_attention = basic + more + DECONVOLUTIONS + GATES
    assert counts(on_meta(block="conv")) == (with_attention, 0)
    without = sum(o * o + 9 * o * o + i * o + 4 * o for i, o, _ in LAYERS)
    assert counts(on_meta(attention=False))[0] == STEM + without + HEAD


def test_the_count_does_not_hang_on_the_input_size() -> None:
    model = LBAN(7, 3, block="conv", attention=False)
    for size in (16, 24, 40):
        assert model(torch.rand(2, 3, size, size)).embedding.shape == (2, 128)


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_reach_every_weight_in_both_precisions(channels: int) -> None:
    model = LBAN(4, channels).to(memory_format=torch.channels_last)
    images = torch.rand(4, channels, 16, 16).contiguous(memory_format=torch.channels_last)
    filters = [m.weight for m in model.modules() if isinstance(m, BinaryConv)]
    before = [one.clone() for one in filters]
    rate = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=0.05)
    for precise in (True, False):
        rate.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            out = model(images)
        assert bool(out.embedding.isfinite().all())
        (out.logits.float().square().mean() + out.embedding.float().square().mean()).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name
            assert bool(parameter.grad.any()), name
        rate.step()
    assert len(filters) == 14
    assert all(torch.equal(now, then) for now, then in zip(filters, before, strict=True))


def test_the_feature_is_signed_and_what_the_output_reads() -> None:
    model = LBAN(4, 3, block="conv", attention=False).eval()
    out = model(torch.rand(8, 3, 16, 16))
    assert bool((out.embedding < 0).any())
    assert bool((out.embedding > 0).any())
    torch.testing.assert_close(out.logits, model.head.output(out.embedding))


def test_dropout_acts_before_both_fully_connected_layers() -> None:
    model = LBAN(4, 3, block="conv", attention=False, dropout=0.75)
    given: list[Tensor] = []
    for layer in (model.head.linear, model.head.output):
        layer.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    out = model.train()(torch.rand(8, 3, 16, 16))
    assert float((given[1] == 0).float().mean()) == pytest.approx(0.75, abs=0.07)
    kept = given[1] != 0
    torch.testing.assert_close(given[1][kept], 4 * out.embedding[kept])
    dropped = (given[0] == 0).float().mean()
    given.clear()
    model.eval()(torch.rand(8, 3, 16, 16))
    assert float(dropped) - float((given[0] == 0).float().mean()) > 0.2
