"""DeepID: who is seen, as 160 numbers for classifiers of expressions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from bench.methods._deepid import (
    IdentityBranch,
    IdentityStage,
    embeddings,
    identity_recipe,
    identity_stage,
)

from bench.api import BenchError, FaceInput, FaceSet, Features, InputError, param
from bench.nn.device import seeded
from bench.nn.faces import Pixels


class DeepIDFeatures(Features):
    """Y. Sun, X. Wang and X. Tang, CVPR 2014, trained as the identity branch of TFE-JL (M. Li et
    al., IEEE TAFFC, manuscript of 2017, section 4.4): ``deepid+linear-svm`` is the transfer
    baseline in its Table 5.

    The 160-d feature of a ConvNet (`_deepid.DeepID`) that has learnt to tell the persons of
    ``people`` apart (`_deepid.identity_stage`); nothing is learnt from the faces of the run. With
    the same people, seed and budget the stage is that of ``tfe-jl``, and is trained once.

    ``identity=untrained`` is the placebo: its first weights, and the statistics of the training
    part. Open in the paper and ours: the rate is constant, .01, without decay of rate or weights.
    Deviations: those that `_deepid` and `_verification` state.
    """

    name = "deepid"
    by_name_only = True
    accelerated = True
    stochastic = True
    trains = True
    chooses_epoch = False  # the identity stage ends where its schedule does
    input = FaceInput(colour="grey")
    companions = {"people": "people"}
    small = {"length": 0.25}
    seconds_per_1000 = {"smoke": 3.0}

    people: str | None = param(None, help="NAME:DIR of a people dataset, to learn identities from")
    identity: str = param(
        "pretrained", choices=("pretrained", "untrained"), help="untrained is the placebo"
    )
    length: float = param(1.0, gt=0, le=1000, help="times the schedule's length")
    size: int | None = param(
        None, ge=31, le=1024, help="side of the input in pixels, in place of the schedule's"
    )

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        super().__init__(member=member, **params)
        if self.people is not None and self.identity == "untrained":
            raise InputError("deepid[identity=untrained] learns no identities: leave people out")

    def requires(self) -> tuple[str, ...]:
        """A people dataset to learn identities from, unless the branch is the placebo."""
        return ("people",) if self.identity == "pretrained" else ()

    def fit(self, faces: FaceSet, rng: np.random.Generator) -> Self:
        """Train on ``setting.others["people"]``, or take what was trained on them already."""
        seed = int(rng.integers(2**62))
        recipe = identity_recipe(self.setting.budget, self.length, self.size)
        self.size_ = recipe.size
        self.stage_: IdentityStage | None = None
        if self.identity == "untrained":
            device = self.setting.device
            pixels = Pixels(faces, self.size_, device)
            with seeded(device, seed):
                self.branch_ = IdentityBranch(pixels.channels, self.size_)
            self.branch_.standardise.learn(pixels)
            self.branch_ = self.branch_.to(device).eval()
            return self
        people = self.setting.others.get("people")
        if people is None:
            raise BenchError("deepid learns identities from people: write deepid[people=NAME:DIR]")
        self.stage_ = identity_stage(people, recipe, self.setting, seed)
        self.branch_ = self.stage_.branch
        return self

    def transform(self, faces: FaceSet) -> np.ndarray:
        """The feature, float32 (n, 160), not negative."""
        if not hasattr(self, "branch_"):
            raise BenchError("deepid is not trained yet: call fit first")
        pixels = Pixels(faces, self.size_, self.setting.device)
        if pixels.channels != 1:
            raise BenchError(f"deepid takes grey images, and those of {faces.name} have colours")
        return embeddings(self.branch_, pixels, np.arange(len(faces)), self.size_)

    def remarks(self) -> tuple[str, ...]:
        """How the identity stage went, or that there was none."""
        if self.stage_ is None:
            return ("deepid: untrained weights, a placebo",)
        return tuple(self.stage_.remarks("deepid"))

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """Closed-set and verification accuracy of the identity stage, whatever the faces."""
        return {} if self.stage_ is None else dict(self.stage_.record["figures"])
