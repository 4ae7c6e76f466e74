"""A network derived from a built-in one, with a loss of its own."""

from bench.methods.resnet18 import ResNet18 as Above


class Derived(Above):
    """Reference: none."""

    name = "derived"
    small = {**Above.small, "size": 32}

    def loss(self, out, batch):
        """As it was."""
        return super().loss(out, batch)
