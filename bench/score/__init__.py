"""Criteria of predictions, their intervals and tests; no torch, no records, no files."""
