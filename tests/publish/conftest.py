"""Records made by hand, for what is made of records."""

from __future__ import annotations

from records import make, parts

__all__ = ["make", "parts"]
