"""Rendered persons, many pictures of each, for methods that learn who is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.api import Dataset, FaceSet, InputError, param
from bench.render.action_units import EMOTIONS
from bench.render.rendering import draw_people, portray

_STREAM = 3  # of random numbers under one seed
_APART = 1_000_000  # added to the seed


class SyntheticPeople(Dataset):
    """The embedded identity dataset: 100×100 rendered faces in the layout of ``people``.

    Each picture of a person has a pose, light, backdrop and expression of its own
    (`bench.render.rendering`): one picture in three is close to neutral, the others blend the six
    emotions. Image i shows person i mod ``identities``. Nobody here is seen in ``synthetic`` or
    ``synthetic-single``, as CASIA-WebFace's persons are not those of an expression dataset. Of
    kind ``people``: no labels.

    Reference: none.
    """

    name = "synthetic-people"
    small = {"images": 20, "identities": 5}
    kind = "people"
    embedded = True
    protocols = ()
    obtain = "Nothing to obtain: bench renders it."
    images: int = param(2400, ge=8, help="number of images")
    seed: int = param(0, ge=0, lt=_APART, help="another seed gives other persons")
    identities: int = param(120, ge=2, help="number of persons who are seen")

    def load(self, root: Path | None = None, protocol: str = "") -> FaceSet:
        """Draw the persons and their expressions, and render them; ``root`` is not used.

        Raises
        ------
        InputError
            Fewer than two pictures of a person.
        """
        if self.images < 2 * self.identities:
            raise InputError(
                f"{self.name}: {self.images} images of {self.identities} identities leave persons "
                "with fewer than two pictures; take more images or fewer identities"
            )
        identity = np.arange(self.images) % self.identities
        people = draw_people(self.identities, self.seed + _APART)[identity]
        weights = np.stack([self._expression(i) for i in range(self.images)])
        images, landmarks = portray(weights, self.seed + _APART, people)
        subject = np.array([f"person-{i + 1:03d}" for i in identity])
        order = np.argsort(subject, kind="stable")  # person by person, as a folder is read
        return FaceSet(
            name=self.name,
            kind=self.kind,
            label_names=(),
            ids=np.array([f"{name}/{i + 1:04d}.jpg" for i, name in enumerate(subject)]),
            labels=np.zeros((self.images, 0), dtype=bool),
            images=images,
            landmarks=landmarks,
            subject=subject,
            synthetic=True,
            notes=("rendered by bench, not photographs",),
        ).take(order)

    def _expression(self, i: int) -> np.ndarray:
        """Emotions of image i, float (6,), from a generator of its own."""
        rng = np.random.default_rng((self.seed, _STREAM, i))
        strength = rng.uniform(0.0, 0.2) if rng.random() < 1 / 3 else rng.uniform(0.2, 1.0)
        return np.asarray(strength * rng.dirichlet(np.full(len(EMOTIONS), 0.4)))
