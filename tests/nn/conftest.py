"""Fixtures of the tests of trainings."""

from __future__ import annotations

import pytest

from bench.nn.checkpoints import CheckpointClock


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every epoch, however long it took."""
    monkeypatch.setattr(CheckpointClock, "due", lambda self: True)
