"""LBP codes and HOG blocks against scikit-image, histograms against a slow count."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bench.methods._descriptors import (
    LBP_BINS,
    grey_images,
    hog_blocks,
    lbp_codes,
    lbp_histograms,
    uniform_table,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.feature import hog, local_binary_pattern

import bench
from bench.api import BenchError, FaceSet


def pictures(side: int = 40) -> dict[str, np.ndarray]:
    """Images that are hard in different ways, each uint8 (side, side)."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[:side, :side]
    smooth = 127 + 60 * np.sin(rows / 7) + 60 * np.cos(columns / 5 + rows / 11)
    return {
        "random": rng.integers(0, 256, (side, side)),
        "black": np.zeros((side, side)),
        "white": np.full((side, side), 255),
        # interpolating equal values rounds up or down by position: the hardest case for LBP
        **{f"constant {value}": np.full((side, side), value) for value in (1, 37, 100, 254)},
        "row gradient": rows * 255 // (side - 1),
        "column gradient": columns * 255 // (side - 1),
        "diagonal": (rows + columns) * 255 // (2 * side - 2),
        "checkerboard": (rows + columns) % 2 * 255,
        "coarse checkerboard": (rows // 5 + columns // 5) % 2 * 255,
        "saturated": rng.integers(0, 2, (side, side)) * 255,
        "few levels": rng.integers(100, 103, (side, side)),
        "faint spot": 100 + ((rows == 13) & (columns == 17)),  # shows the constant of L2-Hys
        "smooth": smooth,
        "flat parts": np.clip(smooth, 90, 160),
    }


def stack(side: int = 40) -> np.ndarray:
    return np.stack([image.astype(np.uint8) for image in pictures(side).values()])


def face_set(images: np.ndarray | None = None, features: np.ndarray | None = None) -> FaceSet:
    given_rows = images if images is not None else features
    assert given_rows is not None
    n = len(given_rows)
    return FaceSet(
        name="toy",
        kind="multi",
        label_names=("joy",),
        ids=np.array([str(i) for i in range(n)]),
        labels=np.ones((n, 1), dtype=bool),
        images=images,
        features=features,
    )


def reference_codes(image: np.ndarray) -> np.ndarray:
    return local_binary_pattern(image, 8, 2, method="nri_uniform")


def reference_blocks(image: np.ndarray, cell: int, orientations: int) -> np.ndarray:
    blocks = hog(
        image,
        orientations,
        (cell, cell),
        (2, 2),
        block_norm="L2-Hys",
        feature_vector=False,
    )
    return blocks[::2, ::2].ravel().astype(np.float32)


# ------------------------------------------------------------------ local binary patterns


@pytest.mark.parametrize("side", [40, 100])
def test_codes_equal_scikit_image(side: int) -> None:
    for name, image in pictures(side).items():
        image = image.astype(np.uint8)
        np.testing.assert_array_equal(lbp_codes(image), reference_codes(image), err_msg=name)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=200, deadline=None)
def test_codes_equal_scikit_image_at_any_size(image: np.ndarray) -> None:
    np.testing.assert_array_equal(lbp_codes(image), reference_codes(image))


@pytest.mark.parametrize("value", range(0, 256, 15))
def test_codes_of_flat_images_follow_its_rounding(value: int) -> None:
    image = np.full((100, 100), value, dtype=np.uint8)
    np.testing.assert_array_equal(lbp_codes(image), reference_codes(image))


def test_table_has_the_58_uniform_patterns() -> None:
    table = uniform_table()
    circular_changes = [
        sum((p >> i & 1) != (p >> (i + 1) % 8 & 1) for i in range(8)) for p in range(256)
    ]
    uniform = np.array(circular_changes) <= 2
    assert uniform.sum() == 58
    assert sorted(table[uniform]) == list(range(58))
    assert (table[~uniform] == 58).all()


@pytest.mark.parametrize("cell", [5, 10])
def test_histograms_equal_a_slow_count(cell: int) -> None:
    images = stack()[:, :, :30]
    slow = np.zeros((len(images), 40 // cell, 30 // cell, LBP_BINS), dtype=np.float32)
    for i, image in enumerate(images):
        codes = reference_codes(image).astype(int)
        for row in range(40 // cell):
            for column in range(30 // cell):
                part = codes[row * cell :, column * cell :][:cell, :cell]
                for code in range(LBP_BINS):
                    slow[i, row, column, code] = np.sum(part == code)
    np.testing.assert_array_equal(lbp_histograms(images, cell), slow.reshape(len(images), -1))


# ------------------------------------------------------- histograms of oriented gradients


@pytest.mark.parametrize(
    ("cell", "orientations"), [(5, 10), (10, 9), (4, 8), (2, 4), (1, 18), (10, 162)]
)
def test_blocks_equal_scikit_image(cell: int, orientations: int) -> None:
    """With 162 orientations gradients lie on an edge to the last bit of double precision."""
    ours = hog_blocks(stack(), cell, orientations)
    for name, image, row in zip(pictures(), stack(), ours, strict=True):
        theirs = reference_blocks(image, cell, orientations)
        worst = np.abs(row.view(np.int32) - theirs.view(np.int32)).max()  # both are >= 0
        assert worst <= 1, f"{name}: {worst} units in the last place"


@given(hnp.arrays(np.uint8, st.tuples(st.sampled_from([8, 12]), st.sampled_from([4, 8, 16]))))
@settings(max_examples=100, deadline=None)
def test_blocks_equal_scikit_image_on_any_pixels(image: np.ndarray) -> None:
    np.testing.assert_allclose(
        hog_blocks(image[None], 2, 10)[0], reference_blocks(image, 2, 10), rtol=2e-7, atol=0
    )


def test_blocks_equal_the_definition() -> None:
    """Gradient by gradient and vote by vote, in double precision throughout."""
    image = pictures(20)["random"].astype(np.uint8)
    pixels = image.astype(float)
    cells = np.zeros((4, 4, 10))
    for r in range(20):
        for c in range(20):
            down = pixels[r + 1, c] - pixels[r - 1, c] if 0 < r < 19 else 0.0
            across = pixels[r, c + 1] - pixels[r, c - 1] if 0 < c < 19 else 0.0
            angle = np.degrees(np.arctan2(down, across)) % 180
            cells[r // 5, c // 5, int(angle // 18)] += np.sqrt(down**2 + across**2) / 25
    expected = []
    for row in (0, 2):
        for column in (0, 2):
            block = cells[row : row + 2, column : column + 2].ravel()
            block = np.minimum(block / np.sqrt((block**2).sum() + 1e-10), 0.2)
            expected.append(block / np.sqrt((block**2).sum() + 1e-10))
    np.testing.assert_allclose(hog_blocks(image[None], 5, 10)[0], np.concatenate(expected), 1e-5)


# ------------------------------------------------------------------------- both of them


def test_a_row_does_not_depend_on_its_chunk() -> None:
    images = stack()
    for describe in (lambda x: lbp_histograms(x, 10), lambda x: hog_blocks(x, 5, 10)):
        whole = describe(images)
        assert whole.dtype == np.float32
        chunks = [describe(images[i : i + 4]) for i in range(0, len(images), 4)]
        np.testing.assert_array_equal(whole, np.concatenate(chunks))
        assert describe(images[:0]).shape == (0, whole.shape[1])


def test_any_memory_layout_gives_the_same_and_stays_untouched() -> None:
    images = stack()
    spread = np.zeros((len(images), 80, 41), dtype=np.uint8)
    spread[:, ::2, :40] = images
    frozen = images.copy()
    frozen.flags.writeable = False
    layouts = [frozen, spread[:, ::2, :40], np.asfortranarray(images)]
    for describe in (lambda x: lbp_histograms(x, 10), lambda x: hog_blocks(x, 5, 10)):
        expected = describe(images)
        for layout in layouts:
            np.testing.assert_array_equal(describe(layout), expected)
            np.testing.assert_array_equal(layout, images)
    np.testing.assert_array_equal(lbp_codes(spread[0, ::2, :40]), lbp_codes(images[0]))
    assert images.flags.writeable


def test_other_images_are_refused_in_one_sentence() -> None:
    grey = np.zeros((2, 48, 48), dtype=np.uint8)
    with pytest.raises(BenchError, match=r"toy: images must be grey \(n, 100, 100\), not \(2, 48"):
        grey_images(face_set(grey), 100)
    with pytest.raises(BenchError, match=r"not \(2, 100, 100, 3\)"):
        grey_images(face_set(np.zeros((2, 100, 100, 3), dtype=np.uint8)), 100)
    with pytest.raises(BenchError, match="toy has no images but ready features"):
        grey_images(face_set(features=np.zeros((2, 5))), 100)
    with pytest.raises(BenchError, match="images must be uint8"):
        grey_images(face_set(grey.astype(np.float32)), 48)


# --------------------------------------------------------- where nothing can be written

DESCRIBE = """
import warnings
warnings.simplefilter("always")
import numpy as np
from bench.methods import _descriptors as descriptors
codes = descriptors.lbp_codes(np.arange(100, dtype=np.uint8).reshape(10, 10))
print(int(codes.sum()), sum(descriptors._codes.stats.cache_hits.values()))
"""


@pytest.fixture
def package() -> Iterator[Path]:
    """A copy of the package in folders that nobody may write to; outside pytest's closed ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "package")
        shutil.copytree(
            Path(bench.__file__).parent,
            folder / "bench",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        Path(name).chmod(0o755)
        yield folder
        for path in folders:
            path.chmod(0o755)


@pytest.fixture
def as_user() -> list[str]:
    """The start of a command line that runs the rest as a user whom permissions bind."""
    if os.name != "posix":
        pytest.skip("asks for POSIX file permissions")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores permissions and setpriv is not installed")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    tried = subprocess.run([*command, sys.executable, "-c", "import numba"], cwd="/", check=False)
    if tried.returncode != 0:
        pytest.skip("root ignores permissions and no other user can run this Python")
    return command


def test_kernels_run_from_a_read_only_folder(package: Path, as_user: list[str]) -> None:
    """Cached at home where the package is read-only; compiled each time where home is, too."""
    home = package.parent / "home"
    home.mkdir()
    home.chmod(0o777)

    def describe(home: Path) -> tuple[list[str], str]:
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(package)}
        done = subprocess.run(
            [*as_user, sys.executable, "-c", DESCRIBE],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split(), done.stderr

    codes = str(lbp_codes(np.arange(100, dtype=np.uint8).reshape(10, 10)).sum())
    assert describe(home) == ([codes, "0"], "")
    assert describe(home) == ([codes, "1"], "")
    printed, warned = describe(package)
    assert printed == [codes, "0"]
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in warned
