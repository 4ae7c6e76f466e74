"""Shared parts of networks: blocks, losses, the training loop, augmentation, weights."""
