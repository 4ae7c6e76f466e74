"""DBM-DACNN: DBM-CNN whose features also match those of another domain, without its labels."""

from __future__ import annotations

from dataclasses import replace

import torch
from bench.methods._dcnn import DCNN, BiManifoldNetwork
from torch import Tensor, nn

from bench.api import BenchError, FaceSet, param
from bench.data.prepare import prepare
from bench.nn.faces import Pixels
from bench.nn.losses.entropy import entropy
from bench.nn.losses.mmd import mk_mmd
from bench.nn.output import Batch, Output, Terms
from bench.nn.train import TrainingSummary


class TwoDomainDCNN(DCNN):
    """One network for both domains: in training its batches hold both, elsewhere one."""

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size), or (n, 2, C, size, size) with source and target.

        With both domains ``other`` is float (n, 2000 + L): embedding and logits of the target's
        images.
        """
        if images.ndim == 4:
            return super().forward(images)
        both = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        source, target = self.embed(both).unflatten(0, images.shape[:2]).unbind(1)
        logits = [self.output(self.dropout(embedding)) for embedding in (source, target)]
        return Output(source, logits[0], other=torch.cat([target, logits[1]], dim=1))


class DBMDACNN(BiManifoldNetwork):
    """S. Li and W. Deng, IJCV 127 (2019) 884–906, Algorithm 3: L_c + λ L_bm + γ L_mmd (+ η L_e).

    DBM-CNN (``dbm-cnn``: network, schedule, L_c, L_bm) learns from the labelled source, here the
    dataset of the run. Each step takes as many images of the target beside them, whose labels are
    never seen: L_mmd, the multi-kernel maximum mean discrepancy (Eq. 12), draws the 2000-d
    features of both domains together, and for a target with one label per face L_e, the entropy of
    its softmax (Eq. 16), sharpens the answers: ``eta=0.1``. The setting is transductive: all
    images of the target take part, those of its test part included.

    Labels: softmax >= the threshold with the best micro-F1 on the validation part of the source,
    where the epoch is chosen too.

    The gradient of L_bm is Eq. 7's, as in ``dbm-cnn``.

    Deviations: γ and η are lost (section 6.5.3 is cut in our copies) and ours. Kernels are not
    given but "following Long et al. (2015)", DAN: five Gaussians, their bandwidths σ relative to
    the batch's mean distance (`bench.nn.losses.mmd`); ``mmd=linear`` is DAN's linear-time estimate.
    DAN's σ are constants to the gradient and its γ is 1. A network that starts from nothing is put
    out by that: features shrink, σ follow, and all end in 0; so ``sigma=moving`` is the default.
    Batches of the target are drawn anew at each step; a target smaller than a batch appears in it
    several times, cropped differently. Factors and signs of Eq. 13, 14 and 17 are misprinted:
    automatic gradients count. ``gamma=0,eta=0`` is the placebo, ``dbm-cnn`` to the byte.
    """

    name = "dbm-dacnn"
    by_name_only = True
    companions = {"target": "unlabelled"}
    seconds_per_1000 = {"smoke": 6.0, "quick": 120.0, "paper": 8_000.0}

    target: str | None = param(None, help="the domain to adapt to: NAME:DIR, its labels unused")
    gamma: float = param(0.1, ge=0, help="γ, weight of the discrepancy between the domains")
    eta: float = param(0.0, ge=0, help="η, weight of the target's entropy; 0.1 for single labels")
    mmd: str = param("quadratic", choices=("quadratic", "linear"), help="estimate of L_mmd")
    sigma: str = param("moving", choices=("moving", "constant"), help="DAN's is constant")

    def requires(self) -> tuple[str, ...]:
        """A target, unless γ = η = 0, the placebo."""
        return ("target",) if self.gamma or self.eta else ()

    def build(self, labels: int, channels: int) -> DCNN:
        """The layers of ``dbm-cnn``, for two domains."""
        return TwoDomainDCNN(labels, channels, self.recipe.size, self.dropout)

    def check(self, train: FaceSet) -> None:
        """Raise `BenchError` where the target or a batch is too small to adapt with."""
        super().check(train)
        if not self.requires():
            return
        target = self.setting.others.get("target")
        if target is None:
            raise BenchError(
                "dbm-dacnn needs a target to adapt to: name one, dbm-dacnn[target=NAME:DIR], or "
                "run with --protocol cross"
            )
        if len(target) < 2:
            raise BenchError(
                f"dbm-dacnn: the target {target.name} has {len(target)} image(s), and a "
                "discrepancy is estimated from two at least"
            )

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """One phase, in which images of the target stand beside those of the source."""
        self.domains_ = "no target took part in training (γ = η = 0)"
        self.target_: tuple[FaceSet, Pixels] | None = None
        if not self.requires():
            return super().learn(model, train, valid, seed)
        target = prepare(self.setting.others["target"], self.input)
        self.domains_ = (
            f"adapted from {train.name} to {target.name}: its {len(target)} images took part in "
            "training without labels, those of its test part included (transductive)"
        )
        self.target_ = target, self.keep(target)
        trained = super().learn(model, train, valid, seed)
        self.target_ = None  # fine-tuning, which may follow, is on one domain
        return trained

    def inputs(
        self, pixels: Tensor, faces: FaceSet, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Crops of the source's images; in training beside each a crop of a target's image."""
        source = super().inputs(pixels, faces, rows, generator)
        if generator is None or self.target_ is None:
            return source
        # Seeded from a copy of the source's generator: the source's batches stay those of dbm-cnn,
        # and the same state gives the same target images after an interruption.
        copy = torch.Generator().set_state(generator.get_state())
        own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=copy)))
        target_faces, target_pixels = self.target_
        size = len(target_faces)
        rounds = [torch.randperm(size, generator=own) for _ in range(-(-len(rows) // size))]
        drawn = torch.cat(rounds)[: len(rows)]
        target = super().inputs(target_pixels.take(drawn), target_faces, drawn, own)
        return torch.stack([source, target], dim=1)

    def loss(self, out: Output, batch: Batch) -> Terms:
        """L_c + λ L_bm of the source, γ L_mmd between the domains, η L_e of the target."""
        terms = super().loss(out, batch)
        if out.other is None:
            return terms
        embedding, logits = out.other.split([out.embedding.shape[1], out.logits.shape[1]], dim=1)
        linear, constant = self.mmd == "linear", self.sigma == "constant"
        adaptation = {
            "mmd": mk_mmd(out.embedding, embedding, linear=linear, constant=constant),
            "entropy": entropy(logits),
        }
        loss = terms.loss + self.gamma * adaptation["mmd"] + self.eta * adaptation["entropy"]
        return replace(terms, loss=loss, parts={**terms.parts, **adaptation})

    def fitted(self, summary: TrainingSummary, valid: FaceSet | None) -> list[str]:
        """The domains whose images took part in training."""
        return [f"dbm-dacnn: {self.domains_}"]

    def footnotes(self) -> tuple[str, ...]:
        """That images of the target took part in training, for the tables."""
        note = "unlabelled target images, those of the test part included, took part in training"
        return (note,) if self.requires() else ()
