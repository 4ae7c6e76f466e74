"""Jobs: what one piece of work is, and the key that its result is kept under.

The planner makes jobs and the executor takes them; neither needs the other. A key is made in one
place, `key_of`, from named parts, and no part is a sentence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import Setting
from bench.data.protocols import Fold
from bench.run.methods import Spec

SCHEMA = 2  # of keys, records and the results folder
STRATIFIED, UNSTRATIFIED = "stratified", "unstratified"


def key_of(**parts: Any) -> str:
    """The key of a result: a hash of everything that can change it, by name.

    Parameters
    ----------
    **parts
        Values that JSON can hold.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    text = json.dumps({"schema": SCHEMA, **parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Protocol:
    """Which rows of which dataset train, validate and test.

    Attributes
    ----------
    name : str
        ``official``, ``cv5`` …, or ``cross``.
    source : str or None
        Under ``cross``: the dataset that methods are trained on, as records name it.
    target : str or None
        Under ``cross``: the protocol that divides the dataset that is measured.
    inner : str or None
        Of a cell that helps to choose parameters: the protocol that divides the training part.
    folds : str
        Of drawn folds of label sets: ``stratified`` by labels or, as versions before 0.2 drew them,
        ``unstratified``; empty where there are no such folds.
    """

    name: str
    source: str | None = None
    target: str | None = None
    inner: str | None = None
    folds: str = field(default="", compare=False)  # what was done, no part of what was asked

    def __str__(self) -> str:
        """As tables write it."""
        text = self.name
        if self.source is not None:
            text = f"{self.name} from {self.source}, {self.target}"
        if self.folds == UNSTRATIFIED:
            text += f" ({UNSTRATIFIED})"
        return text if self.inner is None else f"{text}, inner {self.inner}"


@dataclass(frozen=True)
class Cell:
    """What is measured: everything that says which number this is.

    Attributes
    ----------
    dataset : str
        As named on the command line, parameters included (``fer-plus[labels=majority]``).
    fingerprint, split_hash : str
        Hashes of the data as loaded and of the row numbers in each part.
    twins : int or None
        Test images that have a pixel-identical twin in the training part; None without images, and
        on inner folds.
    features, classifier : str or None
        None for a classifier that needs no features, or a network with its own output.
    budget : str
        ``smoke``, ``quick`` or ``paper``; ``any`` where no method of the cell follows a schedule.
    selection : str
        ``valid``, ``last`` or ``test``; ``none`` where no epoch is chosen.
    threshold : str
        ``own``: the method's own rule makes label sets of scores; else the rule that fits one
        threshold (`bench.score.thresholds`).
    fitted_on : str
        Where that threshold was fitted: ``valid``, or ``inner cv5`` of the training part; empty
        where the rule is the method's own.
    tuned : dict
        Empty, or what was chosen on the training part (`bench.run.tuning`): ``features`` and
        ``classifier`` hold the candidate values of each parameter by name, ``inner`` the folds and
        ``by`` the criterion. The parameters above are then the chosen ones.
    source : dict
        Under protocol ``cross``: ``dataset``, ``fingerprint``, ``synthetic``, ``n_train`` and
        ``n_valid`` of what methods are trained on; everything above describes the target.
    others : dict of str to dict
        ``dataset``, ``fingerprint``, ``synthetic`` and ``n`` of the other datasets that the method
        learns from, by the parameter that names them.
    """

    dataset: str
    kind: str
    fingerprint: str
    synthetic: bool
    label_names: tuple[str, ...]
    protocol: Protocol
    split: str
    split_hash: str
    n_train: int
    n_valid: int
    n_test: int
    twins: int | None
    features: str | None
    features_params: dict[str, Any]
    classifier: str | None
    classifier_params: dict[str, Any]
    stochastic: bool
    seed: int
    budget: str
    selection: str
    weights: str | None = None
    tuned: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    threshold: str = "own"
    fitted_on: str = ""

    def columns(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of its fields that are among ``names``, as tables write them."""
        return {
            name: str(self.protocol) if name == "protocol" else getattr(self, name)
            for name in names
            if hasattr(self, name)
        }


@dataclass(frozen=True)
class FeatureJob:
    """Features of every face, fitted on one training part; shared by every classifier.

    Attributes
    ----------
    fingerprint : str
        Of the faces whose features are computed.
    fold : Fold
        The training and validation part, rows of the faces of ``source`` where that is given, of
        the faces themselves elsewhere.
    exclusive : bool
        Whether the job has the device of ``setting`` to itself.
    tested : int64 (n_tested,)
        Rows of the faces that some cell tests on, and that the method's own measures describe.
    source : str or None
        Under protocol ``cross``: fingerprint of the dataset that the method is trained on.
    columns : tuple of int
        Under ``cross``: for each label of the faces, its column among the labels of ``source``.
    tuning : Fold or None
        Under ``cross``: the parts of the faces on which the trained network is trained further.
    others : dict of str to str
        Fingerprints of the other datasets that the method learns from, by parameter.
    alone : bool
        True where only the network's own output on ``tested`` is wanted, no vectors.
    """

    key: str
    spec: Spec
    fingerprint: str
    fold: Fold
    stochastic: bool
    seed: int
    setting: Setting
    exclusive: bool
    tested: np.ndarray
    source: str | None = None
    columns: tuple[int, ...] = ()
    tuning: Fold | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False

    def place(self, cache: Path) -> Path:
        """The folder in ``cache`` that holds, or will hold, what the job computes.

        Vectors of every face or, where those of ``tested`` suffice, of these alone.
        """
        every = cache / "features" / self.key
        some = every.with_name(f"{self.key}-tested")
        return some if self.alone and not every.exists() else every

    @property
    def label(self) -> str:
        """The work in a few words, for people."""
        seed = f", seed {self.seed}" if self.stochastic else ""
        return f"{self.spec.written} features, {self.fold.name}{seed}"


@dataclass(frozen=True)
class ThresholdFit:
    """How the threshold of one cell is fitted.

    Attributes
    ----------
    rule : str
        Of `bench.score.thresholds`.
    inner : tuple of str
        Keys of the cells on inner folds whose scores it is fitted on; empty where that is the
        validation part.
    """

    rule: str
    inner: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One cell with all that is needed to measure it.

    Attributes
    ----------
    features : FeatureJob or None
        None where the classifier needs no features.
    classifier : Spec or None
        None where a network gives its own scores.
    copies : float or None
        Of the dataset (`bench.api.Dataset.copies`).
    notes, footnotes : tuple of str
        What the record, or the table beside the row, will say whatever comes of the cell.
    fit : ThresholdFit or None
        None where label sets are by the method's own rule.
    """

    key: str
    cell: Cell
    fold: Fold
    features: FeatureJob | None
    classifier: Spec | None
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    copies: float | None = None
    fit: ThresholdFit | None = None

    @property
    def fault(self) -> tuple[str, str] | None:
        """What a plug-in of the cell raised while it was planned, sentence and traceback."""
        specs = (None if self.features is None else self.features.spec, self.classifier)
        return next((fault for spec in specs if spec is not None for fault in spec.faults), None)

    @property
    def asks_every_face(self) -> bool:
        """Whether features are needed of more images than are tested."""
        fits_on_valid = self.fit is not None and not self.fit.inner
        return self.classifier is not None or fits_on_valid

    @property
    def label(self) -> str:
        """The cell in a few words, for people."""
        specs = (None if self.features is None else self.features.spec, self.classifier)
        name = "+".join(spec.written for spec in specs if spec is not None)
        seed = f", seed {self.cell.seed}" if self.cell.stochastic else ""
        return f"{name}, {self.cell.split}{seed}"
