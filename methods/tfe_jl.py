"""TFE-JL: an identity network and an emotion network, joined and trained on as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench.methods._deepid import (
    IDENTITY_WIDTH,
    IdentityBranch,
    identity_recipe,
    identity_stage,
)
from bench.methods._tfe import EMOTION_WIDTH, QUICK, SmallResNet, TFENetwork, paper_recipe
from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.api import BenchError, FaceSet, InputError, param
from bench.data.files import sha256_once
from bench.nn.output import Output
from bench.nn.recipe import SGD, Constant
from bench.nn.train import TrainingSummary
from bench.nn.weights import hub_file, load_weights

EXPRESSION = {
    "resnet18": {"paper": paper_recipe(0.1), "quick": QUICK},
    "resnet12": {"paper": paper_recipe(0.16), "quick": QUICK},
}
JOINT = replace(paper_recipe(0.001), epochs=100, schedule=Constant())
JOINT_QUICK = replace(QUICK, optimizer=SGD(0.01, weight_decay=1e-4), iterations=250)
FACENET_WIDTH = 512  # numbers of facenet's feature
_FACENET_SIDE = 160  # pixels
_FACENET_URL = (
    "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
    "20180402-114759-vggface2.pt"
)


class Tandem(nn.Module):
    """TFE-JL, section 3.2: both features batch-normalised by themselves, concatenated, fc L.

    The paper gives no size of a hidden layer: there is none here.

    Parameters
    ----------
    identity : nn.Module
        With a method ``embed`` from images to float (n, ``width``).
    width : int
        160 for DeepID, which makes a vector of 224.
    emotion : SmallResNet
    labels : int
    """

    def __init__(self, identity: nn.Module, width: int, emotion: SmallResNet, labels: int) -> None:
        super().__init__()
        self.identity, self.emotion = identity, emotion
        self.identity_norm = nn.BatchNorm1d(width)
        self.emotion_norm = nn.BatchNorm1d(EMOTION_WIDTH)
        self.output = nn.Linear(width + EMOTION_WIDTH, labels)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size) in [0, 1]; the embedding is the tandem feature."""
        identity: Tensor = self.identity_norm(self.identity.embed(images))  # type: ignore[operator]
        emotion = self.emotion_norm(self.emotion.embed(images))
        tandem = torch.cat([identity, emotion], dim=1)
        return Output(tandem, self.output(tandem))


class FacenetBranch(nn.Module):
    """facenet-pytorch's InceptionResnetV1: F. Schroff et al., CVPR 2015, on C. Szegedy et al.'s
    Inception-ResNet-v1; a feature of 512 numbers and length 1.

    Images are enlarged to 160×160 pixels and scaled as the published weights want them; a grey
    image is repeated in three channels.

    Parameters
    ----------
    path : Path or None
        The weights; None: untrained ones. The head of 8,631 persons is left out.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.body = InceptionResnetV1()
        if path is not None:
            load_weights(path, self.body, "facenet", unused=("logits.",))

    def embed(self, images: Tensor) -> Tensor:
        """The feature, float (n, 512), from float (n, 1 or 3, H, W) in [0, 1]."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        large = interpolate(
            images, (_FACENET_SIDE, _FACENET_SIDE), mode="bilinear", align_corners=False
        )
        feature: Tensor = self.body((255 * large - 127.5) / 128)
        return feature


def facenet_file(choice: str, method: str) -> Path | None:
    """The file that ``weights=choice`` means: ``vggface2``, ``random`` (None) or a path.

    Raises
    ------
    UnavailableError
        The published file is not in torch.hub's folder.
    BenchError
        No file at that path.
    """
    if choice == "random":
        return None
    if choice == "vggface2":
        return hub_file(_FACENET_URL, method)
    path = Path(choice).expanduser()
    if not path.is_file():
        raise BenchError(
            f"{method}[weights={choice}]: there is no such file; write vggface2, random, or the "
            "path of a .pt, .pth or .safetensors file"
        )
    return path


class TFEJL(TFENetwork):
    """M. Li et al., "Facial expression recognition with identity and emotion joint learning", IEEE
    TAFFC, manuscript of 2017.

    The 160-d feature of a DeepID ConvNet that has learnt who is seen (`_deepid`) and the 64-d
    feature of ``resnet18-tfe``, each under a batch normalisation of its own, make a vector of 224;
    one fully connected layer gives the logits. Three phases: the ResNet alone (as
    ``resnet18-tfe``), the identity stage on ``people``, then all weights together: SGD with
    momentum 0.9, rate 0.001, batch 128, 100 epochs, faces mirrored, turned and shifted; softmax
    cross-entropy.

    Label: the largest softmax; on multi-label data (``target=argmax``) those that reach the
    threshold.

    Deviations, where the paper is silent: no hidden layer between the 224 and the output; both
    branches see the same grey face of 48×48 pixels, each standardised by the statistics of the
    data that it learnt from; DeepID's dropout acts in the identity stage alone; the joint rate is
    constant and weight decay 1e-4; what ``resnet18-tfe`` lists. A tenth of the persons is not
    learnt, to verify on. For CK+ the paper has ``expression=resnet12``, here with the rate of
    ``resnet12-tfe``.
    Budget ``quick`` (ours): 32×32 pixels, 250 joint iterations from a rate of 0.01.

    ``identity=untrained`` is the placebo: DeepID with its first weights. ``identity=facenet`` is
    facenet-pytorch's InceptionResnetV1 (512-d) with the weights of a file.
    """

    name = "tfe-jl"
    by_name_only = True
    companions = {"people": "people"}
    recipes = {"paper": JOINT, "quick": JOINT_QUICK}
    seconds_per_1000 = {"smoke": 6.0, "quick": 14.0, "paper": 3_000.0}

    people: str | None = param(None, help="NAME:DIR of a people dataset, to learn identities from")
    identity: str = param(
        "pretrained",
        choices=("pretrained", "untrained", "facenet"),
        help="the identity branch; untrained is the placebo",
    )
    expression: str = param("resnet18", choices=("resnet18", "resnet12"), help="emotion branch")
    weights: str = param(
        "vggface2",
        help="of identity=facenet: vggface2 (from the local cache), random, or the path of a file",
    )

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        super().__init__(member=member, **params)
        if self.people is not None and self.identity != "pretrained":
            raise InputError(
                f"tfe-jl[identity={self.identity}] learns no identities: leave people out"
            )

    def requires(self) -> tuple[str, ...]:
        """A people dataset to learn identities from, unless the branch is a placebo or a file's."""
        return ("people",) if self.identity == "pretrained" else ()

    def weights_used(self) -> str | None:
        """SHA-256 of facenet's weights."""
        if self.identity != "facenet":
            return None
        path = facenet_file(self.weights, "tfe-jl")
        return "random" if path is None else sha256_once(path)

    def build(self, labels: int, channels: int) -> Tandem:
        """Both branches and the layer that joins them."""
        size = self.recipe.size
        emotion = SmallResNet(self.expression, labels, channels, size)
        if self.identity == "facenet":
            branch: nn.Module = FacenetBranch(facenet_file(self.weights, "tfe-jl"))
            return Tandem(branch, FACENET_WIDTH, emotion, labels)
        return Tandem(IdentityBranch(channels, size), IDENTITY_WIDTH, emotion, labels)

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """Three phases: the emotion branch alone, the identity stage, both branches together."""
        assert isinstance(model, Tandem)
        pixels = self.keep(train)
        model.emotion.standardise.learn(pixels)
        alone = self.budgeted(EXPRESSION[self.expression])
        self.phase("expression", model.emotion, alone, train, valid, seed)
        if isinstance(model.identity, IdentityBranch):
            if self.identity == "pretrained":
                self._learn_identities(model.identity, seed)
            else:
                model.identity.standardise.learn(pixels)
        return self.phase("joint", model, self.recipe, train, valid, seed)

    def _learn_identities(self, branch: IdentityBranch, seed: int) -> None:
        """Give the branch the weights and the statistics of the identity stage."""
        people = self.setting.others.get("people")
        if people is None:
            raise BenchError("tfe-jl learns identities from people: write tfe-jl[people=NAME:DIR]")
        recipe = identity_recipe(self.setting.budget, self.length, self.size)
        stage = identity_stage(people, recipe, self.setting, seed, self.compile)
        branch.load_state_dict(stage.branch.state_dict())
        self.earlier_seconds += stage.earlier_seconds
        self.phases_ += stage.remarks(self.name)
