"""ResNet-18 with its penultimate layer at hand; several of them as one."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from bench.nn.output import Output
from bench.nn.recipe import Adam, EveryEpochs, OneCycle, Recipe

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# MF-JLE, IEEE Access 9 (2021), section IV-B; its "approximate 8k iterations" do not follow from it.
PAPER = Recipe(
    Adam(1e-4, betas=(0.9, 0.999)),
    batch=128,
    epochs=218,
    schedule=EveryEpochs(50, 0.9),
    size=224,
)
# Of ours, for a laptop: FER2013's own 48 pixels, one cycle of the rate.
QUICK = Recipe(
    Adam(1e-3),
    batch=64,
    epochs=12,
    schedule=OneCycle(),
    size=44,
    crop_from=48,
    flip=True,
    drop_last=True,
)


class ResNet18(ResNet):
    """torchvision's ResNet-18 (K. He et al., CVPR 2016), giving the 512-d pooled layer as well.

    Parameters
    ----------
    labels : int
        L; 11,176,512 + 513 L parameters.
    """

    def __init__(self, labels: int) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=labels)

    def forward(self, x: Tensor) -> Output:  # type: ignore[override]
        """From float (n, 3, H, W)."""
        embedding = self.embed(x)
        return Output(embedding, self.fc(embedding))

    def embed(self, x: Tensor) -> Tensor:
        """The pooled layer, float (n, 512)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


class SeparateResNets(nn.Module):
    """M networks one after the other, each on its own images.

    Parameters
    ----------
    networks : int
        M.
    labels : int
    """

    def __init__(self, networks: int, labels: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(ResNet18(labels) for _ in range(networks))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """From float (n, M, 3, H, W) to embeddings (n, M, 512) and logits (n, M, L)."""
        layout = torch.channels_last  # a slice has none, and convolutions are slower without
        views = [images[:, m].contiguous(memory_format=layout) for m in range(images.shape[1])]
        outs = [network(view) for network, view in zip(self.networks, views, strict=True)]
        return torch.stack([o.embedding for o in outs], 1), torch.stack([o.logits for o in outs], 1)


class GroupedResNets(nn.Module):
    """The same M networks as one whose convolutions have M groups: the same numbers in fewer calls.

    Batch normalisation works channel by channel, so that M networks side by side stay apart.

    Parameters
    ----------
    networks : sequence of ResNet18
        Their weights are copied.
    """

    def __init__(self, networks: Sequence[ResNet18]) -> None:
        super().__init__()
        count = len(networks)
        self.count = count
        self.body = copy.deepcopy(networks[0])
        del self.body.fc
        others = [dict(network.named_modules()) for network in networks]
        for name, module in list(self.body.named_modules()):
            if isinstance(module, nn.Conv2d):
                parts = [other[name] for other in others]
                self._put(name, _grouped(module, parts))
            elif isinstance(module, nn.BatchNorm2d):
                self._put(name, _joined(module, [other[name] for other in others]))
        self.weight = nn.Parameter(torch.stack([network.fc.weight.data for network in networks]))
        self.bias = nn.Parameter(torch.stack([network.fc.bias.data for network in networks]))

    def _put(self, name: str, module: nn.Module) -> None:
        parent, _, last = name.rpartition(".")
        setattr(self.body.get_submodule(parent), last, module)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """From float (n, M, 3, H, W) to embeddings (n, M, 512) and logits (n, M, L)."""
        embedding = self.body.embed(images.flatten(1, 2)).unflatten(1, (self.count, -1))
        return embedding, torch.einsum("nmd,mld->nml", embedding, self.weight) + self.bias


def _grouped(first: nn.Conv2d, parts: Sequence[nn.Module]) -> nn.Conv2d:
    count = len(parts)
    conv = nn.Conv2d(
        first.in_channels * count,
        first.out_channels * count,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        groups=count,
        bias=False,
    )
    conv.weight = nn.Parameter(torch.cat([part.weight.data for part in parts]))  # type: ignore[arg-type, union-attr, misc]
    return conv


def _joined(first: nn.BatchNorm2d, parts: Sequence[nn.Module]) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(first.num_features * len(parts), first.eps, first.momentum)
    for name in ("weight", "bias", "running_mean", "running_var"):
        values = torch.cat([getattr(part, name).data for part in parts])
        getattr(norm, name).data.copy_(values)
    return norm
