"""TFE-JL: an identity network and an emotion network, joined and trained on as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.methods import _deepid as deepid
from bench.methods import _facenet as facenet
from bench.methods._deepid import IdentityBranch
from bench.methods._facenet import FacenetBranch, facenet_file
from bench.methods._identity import identity_recipe, identity_stage
from bench.methods._small_resnet import SmallResNet
from bench.methods._tandem import Tandem
from bench.methods._tfe import QUICK, TFENetwork, paper
from torch import nn

from bench.api import BenchError, FaceSet, InputError, param
from bench.data.files import sha256_once
from bench.nn.recipe import SGD, Constant
from bench.nn.train import Trained

EXPRESSION = {
    "resnet18": {"paper": paper(0.1), "quick": QUICK},
    "resnet12": {"paper": paper(0.16), "quick": QUICK},
}
JOINT = replace(paper(0.001), epochs=100, schedule=Constant())
JOINT_QUICK = replace(QUICK, optimizer=SGD(0.01, weight_decay=1e-4), iterations=250)


class TFEJL(TFENetwork):
    """M. Li et al., "Facial expression recognition with identity and emotion joint learning", IEEE
    TAFFC, manuscript of 2017.

    The 160-d feature of a DeepID ConvNet that has learnt who is seen (`_identity`) and the
    64-d one of ``resnet18-tfe``, each under a batch normalisation of its own, make a vector of 224,
    and one fully connected layer the logits. Three phases: the ResNet alone (as ``resnet18-tfe``),
    the identity stage on ``people``, then all weights together: SGD with momentum 0.9, rate 0.001,
    batch 128, 100 epochs, faces mirrored, turned and shifted; softmax cross-entropy.

    Label: the largest softmax; on multi-label data (``target=argmax``) those that reach the
    threshold.

    Deviations, where the paper is silent: no hidden layer between the 224 and the output; both
    branches see the same grey face of 48×48 pixels, each standardised by the statistics of the
    data that it learnt from; DeepID's dropout acts in the identity stage alone; the joint rate is
    constant and weight decay 1e-4; what ``resnet18-tfe`` lists. A tenth of the persons is not
    learnt, to verify on. For CK+ the paper has ``expression=resnet12``, here with that one's rate.
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
        """People, to learn from."""
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
            return Tandem(branch, facenet.WIDTH, emotion, labels)
        return Tandem(IdentityBranch(channels, size), deepid.WIDTH, emotion, labels)

    def learn(self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int) -> Trained:
        """Expression, identity, joint."""
        assert isinstance(model, Tandem)
        pixels = self.keep(train)
        model.emotion.standardise.learn(pixels)
        first = self.budgeted(EXPRESSION[self.expression])
        self.phase("expression", model.emotion, first, train, valid, seed)
        if isinstance(model.identity, IdentityBranch):
            if self.identity == "pretrained":
                self._identify(model.identity, pixels.channels, seed)
            else:
                model.identity.standardise.learn(pixels)
        return self.phase("joint", model, self.recipe, train, valid, seed)

    def _identify(self, branch: IdentityBranch, channels: int, seed: int) -> None:
        """Take the weights and the statistics of the identity stage."""
        people = self.setting.others.get("people")
        if people is None:
            raise BenchError("tfe-jl learns identities from people: write tfe-jl[people=NAME:DIR]")
        recipe = identity_recipe(self.setting.budget, self.length, self.size)
        stage = identity_stage(people, recipe, self.setting, seed, self.compile)
        branch.load_state_dict(stage.branch.state_dict())
        self.earlier_seconds += stage.earlier_seconds
        self.phases_ += stage.remarks(self.name)
