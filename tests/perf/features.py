"""Images per second of `lbp` and `hog` beside scikit-image's functions, one core each.

    python tests/perf/features.py [--images N]

Fails (exit code 1) where a method is not ten times as fast or its result differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from bench.methods.hog import hog_blocks
from bench.methods.lbp import LBP_BINS, lbp_histograms
from scipy.ndimage import gaussian_filter
from skimage.feature import hog, local_binary_pattern

Describe = Callable[[np.ndarray], np.ndarray]

CHUNK = 256
BAR = 10.0

# ours take a chunk, scikit-image's one image; its LBP stops at the codes, ours counts them too
OURS: dict[str, Describe] = {
    "lbp": lambda images: lbp_histograms(images, 10),
    "hog": lambda images: hog_blocks(images, 5, 10),
}
THEIRS: dict[str, Describe] = {
    "lbp": lambda image: local_binary_pattern(image, 8, 2, method="nri_uniform"),
    "hog": lambda image: hog(image, 10, (5, 5), (2, 2), block_norm="L2-Hys", feature_vector=False),
}


def codes(image: np.ndarray) -> np.ndarray:
    """The code of each pixel: the one that its own cell of 1 × 1 pixels counts."""
    return lbp_histograms(image[None], 1).reshape(*image.shape, LBP_BINS).argmax(axis=2)


# the same things to compare: codes, and blocks
COMPARED: dict[str, tuple[Describe, Describe]] = {
    "lbp": (codes, THEIRS["lbp"]),
    "hog": (
        lambda image: hog_blocks(image[None], 5, 10)[0],
        lambda image: THEIRS["hog"](image)[::2, ::2].ravel(),
    ),
}


def pictures(n: int) -> np.ndarray:
    """Noise and smooth images in turn, uint8 (n, 100, 100)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 100, 100)).astype(np.uint8)
    for i in range(1, n, 2):
        smooth = gaussian_filter(images[i].astype(float), 3)
        images[i] = 255 * (smooth - smooth.min()) / np.ptp(smooth)
    return images


def first_calls() -> dict[str, float]:
    """Seconds of the first call on one image: compiling, or loading what is cached."""
    seconds = {}
    image = pictures(1)
    for name, describe in OURS.items():
        start = time.perf_counter()
        describe(image)
        seconds[name] = time.perf_counter() - start
    return seconds


def in_new_process(cache: str) -> dict[str, float]:
    """`first_calls` of a process that keeps compiled code in the folder ``cache``."""
    done = subprocess.run(
        [sys.executable, __file__, "--first-calls"],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


def measure(name: str, images: np.ndarray) -> tuple[float, float, float]:
    """Images per second of ours and of scikit-image, best of three turns; largest difference."""
    ours, theirs = [], []
    for _ in range(3):
        start = time.perf_counter()
        for first in range(0, len(images), CHUNK):
            OURS[name](images[first : first + CHUNK])
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        for image in images:
            THEIRS[name](image)
        theirs.append(time.perf_counter() - start)
    left, right = COMPARED[name]
    difference = max(float(np.abs(left(image) - right(image)).max()) for image in images[:CHUNK])
    return len(images) / min(ours), len(images) / min(theirs), difference


def main() -> int:
    """Print the table; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=1000, help="images described in each turn")
    parser.add_argument("--first-calls", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # Linux; nothing below starts threads elsewhere either
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if arguments.first_calls:
        print(json.dumps(first_calls()))
        return 0
    with tempfile.TemporaryDirectory() as cache:
        compiling, cached = in_new_process(cache), in_new_process(cache)
    first_calls()  # nothing is compiled from here on
    images = pictures(arguments.images)
    print("method  images  ours/s  scikit-image/s  ratio  max |difference|  compile s  cached s")
    missed = False
    for name in OURS:
        ours, theirs, difference = measure(name, images)
        missed |= ours < BAR * theirs or difference > 6e-8  # float32 rounds values up to 1 by 6e-8
        print(
            f"{name:6}  {len(images):6}  {ours:6.0f}  {theirs:14.0f}  {ours / theirs:5.1f}  "
            f"{difference:16.1e}  {compiling[name]:9.2f}  {cached[name]:8.2f}"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
