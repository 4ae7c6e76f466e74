"""MF-JLE: one network for the whole face and five for its parts, whose logits are added."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from zlib import crc32

import numpy as np
import torch
from bench.methods._resnet18 import IMAGENET_MEAN, IMAGENET_STD, PAPER, ResNet18Layers
from torch import Tensor, nn
from torch.nn.functional import grid_sample
from torchvision.transforms.v2.functional import resize

from bench.api import BenchError, FaceInput, FaceSet, InputError, param
from bench.data.alignment import TARGET
from bench.nn.faces import Pixels, mirrored
from bench.nn.losses.binary import binary_cross_entropy, softmax_binary_cross_entropy
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.network import TrainedNetwork
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Adam, OneCycle, Recipe
from bench.nn.train import TrainingSummary

SIDE = 100  # of the image that RAF-ML's template is of
PARTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")

# Ours, for a laptop: six networks on small crops.
QUICK = Recipe(
    Adam(1e-3), batch=128, epochs=4, schedule=OneCycle(), size=32, flip=True, drop_last=True
)


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
        self.networks = nn.ModuleList(ResNet18Layers(labels) for _ in range(networks))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """From float (n, M, 3, H, W) to embeddings (n, M, 512) and logits (n, M, L)."""
        layout = torch.channels_last  # a slice has none, and convolutions are slower without
        views = [images[:, m].contiguous(memory_format=layout) for m in range(images.shape[1])]
        outs = [network(view) for network, view in zip(self.networks, views, strict=True)]
        return torch.stack([o.embedding for o in outs], 1), torch.stack([o.logits for o in outs], 1)


class GroupedResNets(nn.Module):
    """The same M networks as one whose convolutions have M groups: the same numbers in fewer calls.

    Batch normalisation works channel by channel, so that none of the M networks side by side sees
    another.

    Parameters
    ----------
    networks : sequence of ResNet18Layers
        Their weights are copied.
    """

    def __init__(self, networks: Sequence[ResNet18Layers]) -> None:
        super().__init__()
        self.count = len(networks)
        self.body = copy.deepcopy(networks[0])
        del self.body.fc
        modules = [dict(network.named_modules()) for network in networks]
        for name, module in list(self.body.named_modules()):
            if isinstance(module, nn.Conv2d):
                self._put(name, _grouped(module, [own[name] for own in modules]))
            elif isinstance(module, nn.BatchNorm2d):
                self._put(name, _joined(module, [own[name] for own in modules]))
        self.weight = nn.Parameter(torch.stack([network.fc.weight.data for network in networks]))
        self.bias = nn.Parameter(torch.stack([network.fc.bias.data for network in networks]))

    def _put(self, name: str, module: nn.Module) -> None:
        parent, _, last = name.rpartition(".")
        setattr(self.body.get_submodule(parent), last, module)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """From float (n, M, 3, H, W) to embeddings (n, M, 512) and logits (n, M, L)."""
        embedding = self.body.embed(images.flatten(1, 2)).unflatten(1, (self.count, -1))
        return embedding, torch.einsum("nmd,mld->nml", embedding, self.weight) + self.bias


class Fusion(nn.Module):
    """Six ResNet-18 and the sum of their logits, z_g + Σ λ_i z_i, or of their probabilities.

    Parameters
    ----------
    networks : SeparateResNets or GroupedResNets
    weights : float (5,)
        λ of each local network.
    probabilities : bool
        Whether softmax(z) of each network is added in place of z; the fused logits are then the
        logarithm of the weighted mean, whose softmax it is.
    """

    def __init__(
        self,
        networks: SeparateResNets | GroupedResNets,
        weights: list[float],
        probabilities: bool = False,
    ) -> None:
        super().__init__()
        self.networks, self.probabilities = networks, probabilities
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor([1.0, *weights]), persistent=False)

    def forward(self, images: Tensor) -> Output:
        """From float (n, 6, 3, H, W), the whole face first; the embedding is (n, 6 · 512)."""
        embeddings, logits = self.networks(images)
        if self.probabilities:
            shares = (self.weights / self.weights.sum()).log()
            fused = (logits.float().log_softmax(dim=2) + shares[:, None]).logsumexp(dim=1)
        else:
            fused = (self.weights[:, None] * logits.float()).sum(dim=1)
        return Output(embeddings.flatten(1), fused, logits)


class MFJLE(TrainedNetwork):
    """MF-JLE, IEEE Access 9 (2021): L = L_g + Σ λ_i L_i (Eq. 1), λ_i = 0.01.

    Six independent ResNet-18 (`_resnet18`): one sees the face, five see square crops round the
    eyes, the nose tip and the corners of the mouth, which MTCNN finds. Each has the binary
    cross-entropy (Eq. 2) as its loss; RGB, 224×224, ImageNet's mean and standard deviation; Adam,
    rate 1e-4, times 0.9 every 50 of 218 epochs, batch 128. The six share no weights, and Adam's
    steps do not depend on the scale of a gradient, so that λ acts on the fusion and hardly on
    training.

    Labels: sigmoid(z_g + Σ λ_i z_i) >= ½. The embedding is that of all six, 3072-d.

    Deviations: each network's p is a sigmoid, as the abstract's binary cross-entropy and the last
    step of III-C have it; III-B says twice that p is the softmax of a module's output:
    ``objective=printed`` is that variant, Eq. 2 on softmax probabilities, which are then added with
    the weights of Eq. 1 (labels: mean >= the threshold with the best micro-F1 on the validation
    part). Eq. 2 is misprinted
    (`bench.nn.losses.binary`), and its N, "we set 5", would be one label less than RAF-ML has: here
    it is the number of labels. The text adds probabilities and then takes the sigmoid of the sum,
    which is never below ½: here logits are added. The paper leaves
    open the size of the crops (here 0.4 of the face's side, `face_sides`) and where weights start
    (here torchvision's random ones). Where no face is found, crops are cut at the template's places
    (`missing=template`), or the run is refused (`missing=refuse`). Budget ``quick`` (ours): 32×32
    pixels, mirrored, 4 epochs of Adam in batches of 128 with one cycle of the rate up to 1e-3.

    Ablations: ``resnet18`` is the global network alone; ``objective=softmax`` is the multi-label
    softmax cross-entropy. Placebos: ``parts=global`` shows the face to all six, ``parts=random``
    crops random places of each face.
    """

    name = "mf-jle"
    kinds = ("multi",)
    input = FaceInput(colour="rgb")
    needs_landmarks = True
    recipes = {"paper": PAPER, "quick": QUICK}
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    seconds_per_1000 = {"smoke": 10.0, "quick": 110.0, "paper": 96_000.0}

    lam: float = param(0.01, ge=0, help="λ of each local network")
    left_eye: float | None = param(None, ge=0, help="λ of this part alone; none: lam")
    right_eye: float | None = param(None, ge=0, help="λ of this part alone; none: lam")
    nose: float | None = param(None, ge=0, help="λ of this part alone; none: lam")
    left_mouth: float | None = param(None, ge=0, help="λ of this part alone; none: lam")
    right_mouth: float | None = param(None, ge=0, help="λ of this part alone; none: lam")
    objective: str = param(
        "binary",
        choices=("binary", "softmax", "printed"),
        help="cross-entropy; printed: the binary one of softmax probabilities, as III-B has it",
    )
    parts: str = param(
        "landmarks",
        choices=("landmarks", "global", "random"),
        help="what the local networks see; the last two are placebos",
    )
    crop: float = param(0.4, gt=0, le=1, help="side of a local crop, as a share of the face's")
    missing: str = param("template", choices=("template", "refuse"), help="where no face is found")
    path: str = param(
        "separate",
        choices=("separate", "grouped"),
        help="six networks one by one, or as one with grouped convolutions",
    )

    @property
    def sigmoid(self) -> bool:  # type: ignore[override]
        """Whether each label has a probability of its own."""
        return self.objective == "binary"

    def weights(self) -> list[float]:
        """λ of the five local networks, in the order of `PARTS`."""
        own = [getattr(self, name) for name in PARTS]
        return [self.lam if value is None else value for value in own]

    def build(self, labels: int, channels: int) -> Fusion:
        """Six networks with weights of their own."""
        networks: SeparateResNets | GroupedResNets = SeparateResNets(1 + len(PARTS), labels)
        if self.path == "grouped":
            networks = GroupedResNets(list(networks.networks))  # type: ignore[arg-type]
        return Fusion(networks, self.weights(), probabilities=self.objective == "printed")

    def loss(self, out: Output, batch: Batch) -> Terms:
        """L_g + Σ λ_i L_i, each term logged."""
        assert out.parts is not None
        if self.objective == "softmax":
            losses = [multilabel_softmax(z, batch.distribution) for z in out.parts.unbind(1)]
        else:
            binary = binary_cross_entropy if self.sigmoid else softmax_binary_cross_entropy
            losses = [binary(z, batch.labels) for z in out.parts.unbind(1)]
        weighted = sum(lam * loss for lam, loss in zip(self.weights(), losses[1:], strict=True))
        named = dict(zip(("global", *PARTS), losses, strict=True))
        return Terms(losses[0] + weighted, named)

    def keep(self, faces: FaceSet) -> Pixels:
        """Faces in their own size: local crops are cut before anything is resized."""
        if faces.landmarks is None:
            raise BenchError(f"mf-jle needs landmarks, and {faces.name} has none")
        detected = faces.landmarks_found
        if self.missing == "refuse" and detected is not None and not detected.all():
            raise BenchError(
                f"mf-jle[missing=refuse]: no face was found in {int((~detected).sum())} of "
                f"{len(faces)} images; take missing=template, or leave those images out"
            )
        return Pixels(faces, None, self.setting.device)

    def inputs(
        self, pixels: Tensor, faces: FaceSet, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """The face and its five parts, float (b, 6, 3, size, size)."""
        assert faces.landmarks is not None
        size = self.recipe.size
        images = pixels.permute(0, 3, 1, 2).float()
        points = torch.from_numpy(np.asarray(faces.landmarks)[rows.numpy()]).float()
        points = points.to(images.device)
        if generator is not None and self.recipe.flip:
            images, points = mirrored(images, points, torch.rand(len(rows), generator=generator))
        face = resize(images, [size, size], antialias=True)
        if self.parts == "global":
            views = face[:, None].expand(-1, 1 + len(PARTS), -1, -1, -1)
        else:
            sides = self.crop * face_sides(points)
            if self.parts == "random":
                points = self._random_places(faces, rows, images.shape[-1]).to(images.device)
            views = torch.cat([face[:, None], local_crops(images, points, sides, size)], dim=1)
        flat = self.normalised(views.flatten(0, 1))
        return flat.unflatten(0, (len(rows), 1 + len(PARTS)))

    def _random_places(self, faces: FaceSet, rows: Tensor, side: int) -> Tensor:
        """Five random points of each face, always the same for one face: float (b, 5, 2)."""
        places = [
            np.random.default_rng(crc32(str(faces.ids[row]).encode())).random((len(PARTS), 2))
            for row in rows.tolist()
        ]
        return torch.from_numpy(np.stack(places) * side).float()

    def fitted(self, summary: TrainingSummary, valid: FaceSet | None) -> list[str]:
        """Which path ran, and how much the fusion changes on the validation part."""
        notes = [f"mf-jle: six networks, {self.path}"]
        if valid is not None and self.objective != "printed":
            out = self.forward(valid)
            assert out.parts is not None
            alone, fused = out.parts[:, 0], out.logits
            added = float((fused - alone).abs().mean() / alone.abs().mean())
            flipped = int(((alone >= 0) != (fused >= 0)).sum())
            notes.append(
                f"mf-jle: the local networks add {100 * added:.2g} % of the global logit and flip "
                f"{flipped} of {alone.numel()} labels of the validation part"
            )
        return notes


def _grouped(first: nn.Conv2d, parts: Sequence[nn.Module]) -> nn.Conv2d:
    """One convolution with a group for each of the parts, which are shaped like the first."""
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
    """One batch normalisation of the channels of all parts, which are shaped like the first."""
    norm = nn.BatchNorm2d(first.num_features * len(parts), first.eps, first.momentum)
    for name in ("weight", "bias", "running_mean", "running_var"):
        values = torch.cat([getattr(part, name).data for part in parts])
        getattr(norm, name).data.copy_(values)
    return norm


def face_sides(landmarks: Tensor) -> Tensor:
    """The side of each face in pixels: of the square in which it would lie as RAF-ML's faces do.

    By how far both eyes and the middle of the mouth lie from their mean, against the same of
    RAF-ML's template: 100 in an image of 100×100 that is aligned to it, less where the face is a
    part of a photograph. A head that is turned has its eyes closer together, but not its mouth.

    Parameters
    ----------
    landmarks : float (b, 5, 2)
        As `local_crops` takes them.

    Returns
    -------
    float (b,)
    """
    corners = torch.cat([landmarks[:, :2], landmarks[:, 3:].mean(dim=1, keepdim=True)], dim=1)
    template = torch.from_numpy(TARGET / SIDE).to(corners)
    return _spread(corners) / _spread(template[None])


def _spread(points: Tensor) -> Tensor:
    """Root of the summed squared distances of points (b, n, 2) to their mean, (b,)."""
    return (points - points.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2)).sqrt()


def local_crops(images: Tensor, landmarks: Tensor, sides: Tensor, size: int = 224) -> Tensor:
    """Square crops round the five landmarks, for the local networks.

    The paper (IEEE Access 2021) does not state the crops' side. Bilinear; border
    pixels repeat where a crop reaches beyond the image. Meant to enlarge: where a crop covers more
    than ``size`` pixels of the image, some are skipped.

    Parameters
    ----------
    images : float (b, C, H, W)
    landmarks : float (b, 5, 2)
        x, y in pixels, (0, 0) at the upper left corner and (W, H) at the lower right one.
    sides : float (b,)
        Side of each image's crops in pixels.
    size : int
        Side of the result in pixels.

    Returns
    -------
    float (b, 5, C, size, size)
        On the device of ``images``.

    Raises
    ------
    InputError
        Where the shapes do not fit.
    """
    if (
        images.ndim != 4
        or tuple(landmarks.shape) != (len(images), 5, 2)
        or tuple(sides.shape) != (len(images),)
    ):
        raise InputError(
            f"local crops take images (b, C, H, W) with landmarks (b, 5, 2) and sides (b), not "
            f"{tuple(images.shape)} with {tuple(landmarks.shape)} and {tuple(sides.shape)}"
        )
    height, width = images.shape[2:]
    scale = images.new_tensor([width, height])
    # Centres of the crop's pixels, as shares of its side from its middle.
    steps = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size - 0.5
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    offsets = torch.stack([across, down], dim=-1) * sides.to(images)[:, None, None, None, None]
    points = landmarks.to(images)[:, :, None, None] + offsets
    # The five below one another, so that the image is not repeated; -1 and 1 are its corners.
    grid = (points / scale * 2 - 1).reshape(len(images), 5 * size, size, 2)
    crops = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return crops.unflatten(2, (5, size)).transpose(1, 2)
