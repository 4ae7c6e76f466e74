"""Losses of networks, one file each."""
