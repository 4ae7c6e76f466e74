"""Containers, splits, reading and checking of data."""
