"""What networks of several families share: base classes, losses, the training loop, weights."""
