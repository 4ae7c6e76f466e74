"""Reading images: every kind of pixel, every kind of damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from bench.api import BenchError
from bench.data.images import SYNTHETIC_COMMENT, darkness, images_by_name, plain_name, read_images

# Pillow warns about some damage before it raises.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:PIL"),
]


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 7, 5, 3), dtype=np.uint8)


def save(folder: Path, images: np.ndarray, suffix: str = ".png") -> list[Path]:
    paths = [folder / f"{row:04d}{suffix}" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def test_rgb_and_grey_are_what_pillow_gives(tmp_path: Path, noise: np.ndarray) -> None:
    paths = save(tmp_path, noise)
    rgb, synthetic = read_images(paths)
    assert np.array_equal(rgb, noise)
    assert rgb.dtype == np.uint8
    assert synthetic is False
    grey, _ = read_images(paths, "grey")
    assert np.array_equal(grey[3], np.asarray(Image.open(paths[3]).convert("L")))
    assert grey.shape == (9, 7, 5)


def test_order_is_that_of_the_paths_over_many_tasks(tmp_path: Path) -> None:
    images = np.arange(100, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    paths = save(tmp_path, images)[::-1]
    assert np.array_equal(read_images(paths, "grey")[0], images[::-1])


def test_one_image(tmp_path: Path, noise: np.ndarray) -> None:
    assert np.array_equal(read_images(save(tmp_path, noise[:1]))[0], noise[:1])


def test_no_image_is_an_error() -> None:
    with pytest.raises(BenchError, match="no image"):
        read_images([])


def test_resized_by_pillow_bilinear_after_conversion(tmp_path: Path, noise: np.ndarray) -> None:
    paths = save(tmp_path, noise)
    expected = Image.open(paths[2]).convert("L").resize((10, 10), Image.Resampling.BILINEAR)
    assert np.array_equal(read_images(paths, "grey", 10)[0][2], np.asarray(expected))


def test_sizes_may_differ_only_with_a_size(tmp_path: Path, noise: np.ndarray) -> None:
    paths = save(tmp_path, noise)
    for odd in (4, 6):
        Image.fromarray(noise[0, :6]).save(paths[odd])
    with pytest.raises(BenchError, match=r"0004\.png is 5×6 pixels, but 0000\.png is 5×7"):
        read_images(paths)
    assert read_images(paths, size=8)[0].shape == (9, 8, 8, 3)


def test_first_damaged_file_is_named_even_late_in_the_list(tmp_path: Path) -> None:
    paths = save(tmp_path, np.zeros((200, 4, 4), np.uint8))
    for row in (199, 150, 70):
        paths[row].write_bytes(b"")
    with pytest.raises(BenchError, match=r"0070\.png is empty"):
        read_images(paths)


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".png", np.uint16), (".tiff", np.uint16), (".tiff", np.int32)]
)
def test_sixteen_bits_become_eight_without_clipping(
    tmp_path: Path, suffix: str, dtype: type
) -> None:
    deep: np.ndarray = np.array([[0, 256, 257, 1000], [30_000, 40_000, 65_534, 65_535]], dtype)
    path = tmp_path / f"deep{suffix}"
    Image.fromarray(deep).save(path)
    expected = np.round(deep / 257).astype(np.uint8)
    assert np.array_equal(read_images([path], "grey")[0][0], expected)
    assert np.array_equal(read_images([path], "rgb")[0][0], np.stack([expected] * 3, -1))


@pytest.mark.parametrize(("value", "dtype"), [(0.5, "f4"), (70_000, "i4"), (-1, "i4")])
def test_deeper_pixels_are_refused(tmp_path: Path, value: float, dtype: str) -> None:
    Image.fromarray(np.full((2, 2), value, dtype)).save(tmp_path / "deep.tiff")
    with pytest.raises(BenchError, match=r"deep\.tiff .*neither 8 nor 16 bits"):
        read_images([tmp_path / "deep.tiff"])


def test_palette_is_looked_up(tmp_path: Path, noise: np.ndarray) -> None:
    paletted = Image.fromarray(noise[0]).quantize(16)
    paletted.save(tmp_path / "p.png")
    expected = np.asarray(paletted.convert("RGB"))
    assert np.array_equal(read_images([tmp_path / "p.png"])[0][0], expected)
    assert len(np.unique(expected)) > 2


def test_hidden_colours_under_transparency_do_not_show(tmp_path: Path) -> None:
    pixels = np.array([[[200, 100, 50, 0], [200, 100, 50, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = read_images([tmp_path / "a.png"])[0][0]
    assert found.tolist() == [[[0, 0, 0], [200, 100, 50]]]


def test_one_bit_and_cmyk(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "one.png")
    assert read_images([tmp_path / "one.png"], "grey")[0].tolist() == [[[255, 0]]]
    Image.new("CMYK", (2, 1), (0, 0, 0, 255)).save(tmp_path / "c.tiff")
    assert read_images([tmp_path / "c.tiff"])[0].max() == 0


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".bmp"])
@pytest.mark.parametrize("keep", [0, 1, 20, 60, -40])
def test_truncated_files_are_named(
    tmp_path: Path, noise: np.ndarray, suffix: str, keep: int
) -> None:
    big = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    paths = save(tmp_path, big, suffix)
    paths[1].write_bytes(paths[1].read_bytes()[:keep])
    with pytest.raises(BenchError, match=rf"0001\{suffix} is .*again$") as caught:
        read_images(paths)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    suffix=st.sampled_from([".png", ".jpg", ".tiff", ".gif", ".ppm", ".webp"]),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 10_000),
)
def test_damage_gives_an_image_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    flips: list[tuple[int, int]],
    cut: int,
) -> None:
    path = tmp_path_factory.mktemp("damage") / f"face{suffix}"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (12, 12), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    path.write_bytes(content[: len(content) - cut % 7])
    try:
        images, _ = read_images([path], "grey", 12)
    except BenchError as error:
        assert path.name in str(error)  # noqa: PT017
    else:
        assert images.shape == (1, 12, 12)


def test_missing_folder_and_text(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"none\.jpg does not exist"):
        read_images([tmp_path / "none.jpg"])
    (tmp_path / "dir.jpg").mkdir()
    with pytest.raises(BenchError, match="is a folder"):
        read_images([tmp_path / "dir.jpg"])
    (tmp_path / "text.jpg").write_text("<html>not found</html>")
    with pytest.raises(BenchError, match=r"text\.jpg is damaged or no image \(not an image\)"):
        read_images([tmp_path / "text.jpg"])


def test_postscript_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(BenchError, match="not an image"):
        read_images([tmp_path / "x.jpg"])


def test_one_rendered_file_marks_all(tmp_path: Path, noise: np.ndarray) -> None:
    for suffix in (".jpg", ".png"):
        paths = save(tmp_path, noise, suffix)
        assert read_images(paths)[1] is False
        for row in (0, 8):
            marked = tmp_path / f"marked{suffix}"
            if suffix == ".jpg":
                Image.fromarray(noise[row]).save(marked, comment=SYNTHETIC_COMMENT)
            else:
                info = PngImagePlugin.PngInfo()
                info.add_text("Comment", SYNTHETIC_COMMENT)
                Image.fromarray(noise[row]).save(marked, pnginfo=info)
            assert read_images([*paths[:row], marked, *paths[row + 1 :]])[1] is True


def test_sixteen_bits_that_hold_eight_are_told(tmp_path: Path, noise: np.ndarray) -> None:
    ids = np.array([f"{row:04d}" for row in range(len(noise))])
    assert darkness(noise, ids) is None
    unscaled = save(tmp_path, noise[..., 0].astype(np.uint16))
    images, _ = read_images(unscaled, "grey")
    said = darkness(images, ids)
    assert said is not None
    assert said.startswith("warning: 9 of 9 images are black (no value above 1 of 255), 0000")
    scaled, _ = read_images(save(tmp_path, noise[..., 0].astype(np.uint16) * 257), "grey")
    assert darkness(scaled, ids) is None
    scaled[[3, 5]] = 0
    assert "2 of 9 images are black" in (darkness(scaled, ids) or "")
    assert "0003 the first" in (darkness(scaled, ids) or "")


def test_names_of_images_in_any_spelling(tmp_path: Path) -> None:
    spelled = {"a.JPG": "a.jpg", "b.jfif": "b.jpg", "C.Jpeg": "C.jpg", "d.PNG": "d.png"}
    for name in (*spelled, "._a.JPG", "Thumbs.db", ".DS_Store", "e.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert {name: plain_name(name) for name in spelled} == spelled
    found = {path.name: name for name, path in images_by_name(tmp_path, ".jpg").items()}
    assert found == {name: plain for name, plain in spelled.items() if plain != "d.png"}
    (tmp_path / "a.jpeg").write_bytes(b"x")
    with pytest.raises(BenchError, match=r"a\.jpeg and a\.JPG are images of one name"):
        images_by_name(tmp_path, ".jpg")
