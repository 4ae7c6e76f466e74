"""MF-JLE: one network for the whole face and five for its parts, whose logits are added."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from bench.api import BenchError, FaceInput, FaceSet, param
from bench.data.crops import local_crops
from bench.nn.faces import Pixels, mirrored
from bench.nn.losses.binary import binary_cross_entropy
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.network import TrainedNetwork
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Adam, OneCycle, Recipe
from bench.nn.resnet import IMAGENET_MEAN, IMAGENET_STD, PAPER, GroupedResNets, SeparateResNets
from bench.nn.train import Trained

PARTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")

# Of ours, for a laptop: six networks on small crops.
QUICK = Recipe(
    Adam(1e-3), batch=128, epochs=4, schedule=OneCycle(), size=32, flip=True, drop_last=True
)


class Fusion(nn.Module):
    """Six ResNet-18 and the sum of their logits: z_g + Σ λ_i z_i.

    Parameters
    ----------
    networks : SeparateResNets or GroupedResNets
    weights : float (5,)
        λ of each local network.
    """

    def __init__(self, networks: SeparateResNets | GroupedResNets, weights: list[float]) -> None:
        super().__init__()
        self.networks = networks
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor([1.0, *weights]), persistent=False)

    def forward(self, images: Tensor) -> Output:
        """From float (n, 6, 3, H, W), the whole face first; the embedding is (n, 6 · 512)."""
        embeddings, logits = self.networks(images)
        fused = (self.weights[:, None] * logits.float()).sum(dim=1)
        return Output(embeddings.flatten(1), fused, logits)


class MFJLE(TrainedNetwork):
    """MF-JLE, IEEE Access 9 (2021): L = L_g + Σ λ_i L_i (Eq. 1), λ_i = 0.01.

    Six independent ResNet-18 (`bench.nn.resnet`): one sees the face, five see square crops round
    the eyes, the nose tip and the corners of the mouth, which MTCNN finds. Each has the binary
    cross-entropy (Eq. 2) as its loss; RGB, 224×224, ImageNet's mean and standard deviation; Adam,
    rate 1e-4, times 0.9 every 50 of 218 epochs, batch 128. The six share no weights, and Adam does
    not feel the scale of a gradient, so that λ acts on the fusion and hardly on training.

    Labels: sigmoid(z_g + Σ λ_i z_i) >= ½. The embedding is that of all six, 3072-d.

    Deviations: Eq. 2 is misprinted (`bench.nn.losses.binary`). The text adds probabilities and then
    takes the sigmoid, which is never below ½: here logits are added. The paper leaves open the size
    of the crops (here 0.4 of the face's side) and where weights start (here torchvision's random
    ones). Where no face is found, crops are cut at the template's places (`missing=template`), or
    the run is refused (`missing=refuse`). Budget ``quick`` (ours): 32×32 pixels, mirrored, 4 epochs
    of Adam in batches of 128 with one cycle of the rate up to 1e-3.

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
    objective: str = param("binary", choices=("binary", "softmax"), help="cross-entropy")
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
        """Whether labels have probabilities of their own."""
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
        return Fusion(networks, self.weights())

    def loss(self, out: Output, batch: Batch) -> Terms:
        """L_g + Σ λ_i L_i, each term logged."""
        assert out.parts is not None
        if self.sigmoid:
            losses = [binary_cross_entropy(z, batch.labels) for z in out.parts.unbind(1)]
        else:
            losses = [multilabel_softmax(z, batch.distribution) for z in out.parts.unbind(1)]
        weighted = sum(lam * one for lam, one in zip(self.weights(), losses[1:], strict=True))
        named = dict(zip(("global", *PARTS), losses, strict=True))
        return Terms(losses[0] + weighted, named)

    def keep(self, faces: FaceSet) -> Pixels:
        """Whole faces: local crops are cut from all the pixels that there are."""
        if faces.landmarks is None:
            raise BenchError(f"mf-jle needs landmarks, and {faces.name} has none")
        found = faces.landmarks_found
        if self.missing == "refuse" and found is not None and not found.all():
            raise BenchError(
                f"mf-jle[missing=refuse]: no face was found in {int((~found).sum())} of "
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
            if self.parts == "random":
                points = self._places(faces, rows, images.shape[-1]).to(images.device)
            views = torch.cat([face[:, None], local_crops(images, points, self.crop, size)], dim=1)
        flat = self.normalised(views.flatten(0, 1))
        return flat.unflatten(0, (len(rows), 1 + len(PARTS)))

    def _places(self, faces: FaceSet, rows: Tensor, side: int) -> Tensor:
        """Random points, always the same for one face: float (b, 5, 2)."""
        drawn = [
            np.random.default_rng(crc32(str(faces.ids[row]).encode())).random((len(PARTS), 2))
            for row in rows.tolist()
        ]
        return torch.from_numpy(np.stack(drawn) * side).float()

    def fitted(self, trained: Trained, valid: FaceSet | None) -> list[str]:
        """Which path ran, and how much the fusion changes."""
        said = [f"mf-jle: six networks, {self.path}"]
        if valid is not None:
            out = self._forward(valid)
            assert out.parts is not None
            before, after = out.parts[:, 0], out.logits
            added = float((after - before).abs().mean() / before.abs().mean())
            flipped = int(((before >= 0) != (after >= 0)).sum())
            said.append(
                f"mf-jle: the local networks add {100 * added:.2g} % of the global logit and flip "
                f"{flipped} of {before.numel()} labels of the validation part"
            )
        return said
