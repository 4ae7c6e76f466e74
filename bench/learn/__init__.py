"""Shared parts of classifiers."""
