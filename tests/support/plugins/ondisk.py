"""A dataset on disk that counts how often it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.api import TEST, TRAIN, Dataset, FaceSet


class OnDisk(Dataset):
    """Files of four digits: grey level and label. Each reading leaves a line in ``reads.log``."""

    name = "ondisk"

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        assert root is not None
        with Path(__file__).with_name("reads.log").open("a") as log:
            log.write("read\n")
        files = sorted(root.rglob("*.txt"))
        values = np.array([int(file.read_text()) for file in files])
        rows = np.arange(len(files))
        return FaceSet(
            "ondisk",
            "multi",
            ("bright", "even"),
            np.array([file.stem for file in files]),
            np.stack([values > 99, rows % 2 == 0], axis=1),
            images=np.repeat(values, 64).astype(np.uint8).reshape(-1, 8, 8),
            split=np.where(rows % 3 == 0, TEST, TRAIN).astype(np.int8),
        )

    def check(self, faces: FaceSet) -> list[str]:
        return [f"{len(faces)} images"]
