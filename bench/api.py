"""The four things a plug-in can be: Dataset, Features, Classifier, Network.

Imports neither torch nor scikit-learn, so that a plug-in file costs only what it imports itself.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import numpy as np

    from bench.data.faces import FaceSet

__all__ = [
    "BenchError",
    "Classifier",
    "Dataset",
    "FaceInput",
    "Features",
    "InputError",
    "Network",
    "Param",
    "Plugin",
    "Setting",
    "UnavailableError",
    "near",
    "param",
]


class BenchError(Exception):
    """What went wrong, where, and what to do, in one sentence; shown without a traceback."""


class InputError(BenchError, ValueError):
    """Parameters, features or labels that are not taken; the `ValueError` scikit-learn expects."""


class UnavailableError(BenchError):
    """Weights or data that a method needs are not there: the cell is skipped with this sentence."""


def near(word: str, known: Iterable[str]) -> str:
    """The names in ``known`` that look like ``word``, as the end of an error sentence."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known)}" if known else "there are none"


@dataclass(frozen=True)
class Param:
    """One hyper-parameter: its default, the values it may take, and what it means.

    ``type`` is the annotation as written (``int``, ``float``, ``bool``, ``str``, each with an
    optional ``| None``; anything else accepts every value).
    """

    default: Any
    help: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[Any, ...] | None = None
    type: str = "object"

    def allowed(self) -> str:
        """The values accepted, in words."""
        if self.choices is not None:
            return " | ".join(map(str, self.choices))
        bounds = [(">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt)]
        limits = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
        return f"{self.type} {limits}".strip()

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` has the right type and lies within the bounds."""
        kinds = {kind.strip() for kind in self.type.split("|")}
        if value is None:
            return "None" in kinds or self.type == "object"
        if self.choices is not None:
            return value in self.choices
        if kinds & {"int", "float"} and isinstance(value, numbers.Real):
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if "float" not in kinds and not whole:
                return False
            number = float(value)
            return not isinstance(value, bool) and math.isfinite(number) and self._within(number)
        if "bool" in kinds and isinstance(value, bool):
            return True
        if "str" in kinds and isinstance(value, str):
            return True
        return not kinds <= {"int", "float", "bool", "str", "None"}

    def _within(self, number: float) -> bool:
        return not (
            (self.ge is not None and number < self.ge)
            or (self.gt is not None and number <= self.gt)
            or (self.le is not None and number > self.le)
            or (self.lt is not None and number >= self.lt)
        )

    def parse(self, text: str) -> Any:
        """Read a value written on the command line; the result still has to be accepted."""
        kinds = [kind.strip() for kind in self.type.split("|")]
        if "None" in kinds and text.lower() == "none":
            return None
        for choice in self.choices or ():
            if str(choice) == text:
                return choice
        if "bool" in kinds and text.lower() in ("true", "false"):
            return text.lower() == "true"
        for kind, read in (("int", int), ("float", float)):
            if kind in kinds:
                try:
                    return read(text)
                except ValueError:
                    continue
        return text


def param(
    default: Any,
    *,
    help: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Iterable[Any] | None = None,
) -> Any:
    """Declare a hyper-parameter: ``k: int = param(100, ge=1, help="neighbours")``.

    The default is the paper's value; the class docstring says which paper.
    """
    return Param(default, help, ge, gt, le, lt, None if choices is None else tuple(choices))


class Plugin:
    """What the four kinds share: a name, checked hyper-parameters, ``get_params``.

    Class attributes
    ----------------
    name : str
        As the literature and the command line call it. A family ends in a colon (``mulan:``)
        and is used with a member name (``mulan:yeast``), which stands in ``self.member``.
    extra : str or None
        The extra of this package (``pip install 'fer-bench[EXTRA]'``) that brings what the plug-in
        imports, where that is not installed anyway.
    by_name_only : bool
        True where ``all`` leaves it out (it needs a choice that only the user can make).
    seconds_per_1000 : float, mapping of budget to float, or None
        Rough cost on one core per 1,000 images (a classifier: training rows), for ``--dry-run``
        before anything was measured.
    small : dict
        Parameters under which it works on 40 rows of 12 features with 4 labels, on 12 faces, or
        (a dataset) makes few of them; the test kit uses them.
    members : tuple of str
        Names of a family that the test kit takes, each of them.
    """

    name: ClassVar[str] = ""
    extra: ClassVar[str | None] = None
    by_name_only: ClassVar[bool] = False
    seconds_per_1000: ClassVar[float | Mapping[str, float] | None] = None
    small: ClassVar[Mapping[str, Any]] = {}
    members: ClassVar[tuple[str, ...]] = ()
    params: ClassVar[dict[str, Param]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.params = dict(cls.params)
        annotations = vars(cls).get("__annotations__", {})
        for field, value in list(vars(cls).items()):
            if isinstance(value, Param):
                annotation = annotations.get(field, "object")
                written = annotation
                if not isinstance(annotation, str):  # `int | None` has no name
                    written = getattr(annotation, "__name__", str(annotation))
                declared = Param(**{**vars(value), "type": written})
                if not declared.accepts(declared.default):
                    raise TypeError(
                        f"{cls.__name__}.{field}: the default {declared.default!r} is not "
                        f"{declared.allowed()}"
                    )
                cls.params[field] = declared
                setattr(cls, field, declared.default)

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        self.member = member
        for field, declared in self.params.items():
            setattr(self, field, declared.default)
        self.set_params(**params)

    def set_params(self, **params: Any) -> Self:
        """Set hyper-parameters; an unknown one or a value out of range raises `InputError`."""
        for field, value in params.items():
            if field == "member" and value == self.member:
                continue  # what get_params says may be set again
            declared = self.params.get(field)
            if declared is None:
                raise InputError(
                    f"{self.name} has no parameter {field!r}: {near(field, self.params)}"
                )
            if not declared.accepts(value):
                raise InputError(
                    f"{self.name}[{field}={value}] is not allowed: {field} takes "
                    f"{declared.allowed()}"
                )
            setattr(self, field, value)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The hyper-parameters as set, by name (scikit-learn's contract)."""
        params = {field: getattr(self, field) for field in self.params}
        if self.member is not None:
            params["member"] = self.member
        return params

    def remarks(self) -> tuple[str, ...]:
        """What the record should say after `fit` (a threshold chosen, which path ran)."""
        return ()

    def exempt(self) -> Mapping[str, str]:
        """Checks of the test kit that cannot hold for the method, by name, each with the reason."""
        return {}

    def __repr__(self) -> str:
        changed = [
            f"{field}={getattr(self, field)!r}"
            for field, declared in self.params.items()
            if getattr(self, field) is not declared.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


class Dataset(Plugin):
    """Reads one dataset's official on-disk layout.

    Class attributes
    ----------------
    kind : {"multi", "single", "people"}
        Label sets, one class per image, or persons without labels, to learn identities from, of
        what `load` gives by default; a parameter may change it, and `FaceSet.kind` decides.
    embedded : bool
        True where `load` makes the data itself and needs no root.
    protocols : tuple of str
        Protocols that `split` knows beside the general ones (``cvK``, ``holdout-60-20-20``);
        the first is the default.
    obtain : str
        One sentence that says how to get the data.
    """

    kind: ClassVar[str] = "multi"
    embedded: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("official",)
    obtain: ClassVar[str] = ""

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        """Read everything under ``root``; raises `BenchError` naming file and line.

        ``protocol`` matters only where a dataset ships other files for another protocol.
        """
        raise NotImplementedError

    def split(self, faces: FaceSet, protocol: str) -> np.ndarray:
        """Part of each image under one of ``protocols``.

        Returns
        -------
        int8 (n,)
            `bench.data.faces.TRAIN`, ``VALID``, ``TEST`` or ``LEFT_OUT``.
        """
        if faces.split is None:
            raise BenchError(f"{self.name} has no {protocol} split; use --protocol cv5, say")
        return faces.split

    def check(self, faces: FaceSet) -> list[str]:
        """Findings where the counts differ from the published ones; empty when all agree."""
        return []

    def panel(self, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """What some people's votes say of faces, for the row that people get beside methods.

        Parameters
        ----------
        votes : int (n, V)
            As in `FaceSet.votes`, of all or of some of the people.

        Returns
        -------
        scores : float (n, L)
        labels : bool (n, L)
            By the dataset's rule, without what it does to votes that look like mistakes, and
            without its choice of faces.
        usable : bool (n,)
            False where no vote is for any label.

        None where the dataset has no votes.
        """
        return None

    def describe(self) -> str:
        """What the dataset is and how to obtain it."""
        return f"{(self.__doc__ or '').strip()}\n\n{self.obtain}".strip()


@dataclass(frozen=True)
class FaceInput:
    """The images a method wants; the engine resizes and converts to it before every call.

    Attributes
    ----------
    size : int or None
        Side in pixels of the square image handed over; None leaves the images as they are.
    colour : {"grey", "rgb"}
        ``uint8 (n, size, size)`` or ``uint8 (n, size, size, 3)``.
    crop_from : int or None
        Side that the image is resized to before a crop of ``size`` is cut from it (the method
        crops; None where it does not).
    """

    size: int | None = None
    colour: str = "grey"
    crop_from: int | None = None


@dataclass(frozen=True)
class Setting:
    """What the engine tells features and networks before `fit`; the defaults serve outside it.

    Attributes
    ----------
    budget : {"smoke", "quick", "paper"}
        Which schedule a training follows.
    selection : {"valid", "last", "test"}
        How a training chooses its epoch. ``test``: what `fit` gets as its validation part is the
        test part, so epochs may be chosen on it and thresholds may not.
    device : str
        Where tensors go, as torch names it: ``cpu``, ``cuda``, ``cuda:1``.
    folder : Path or None
        Where a training keeps its checkpoints, to resume from them; None keeps none.
    root : Path or None
        The dataset's folder, for methods that read more of it than its images.
    judge : callable or None
        How good scores float (n, L) are for truth bool (n, L), higher is better; None: by the
        validation loss.
    report : callable or None
        Hears of progress: steps done, steps in all, a few words.
    others : mapping of str to FaceSet
        The faces of other datasets, by the parameter that names them (`Features.companions`);
        images in their native size.
    """

    budget: str = "paper"
    selection: str = "valid"
    device: str = "cpu"
    folder: Path | None = None
    root: Path | None = None
    judge: Callable[[np.ndarray, np.ndarray], float] | None = None
    report: Callable[[int, int, str], None] | None = None
    others: Mapping[str, FaceSet] = made_by(default_factory=dict)


class Features(Plugin):
    """Turns faces into vectors.

    Class attributes
    ----------------
    input : FaceInput
        The images that `fit` and `transform` receive.
    stateless : bool
        True where `fit` learns nothing, so that the same vectors serve every split and seed.
    stochastic : bool
        True where the result depends on the seed.
    trains : bool
        True where `fit` follows a training schedule, so that ``--budget`` changes the result.
    kinds : tuple of str
        Kinds of dataset it is meant for.
    needs_images : bool
        False where it takes a dataset's precomputed features instead.
    needs_landmarks : bool
        True where faces must carry landmarks; the engine looks for them where a dataset has none.
    accelerated : bool
        True where it computes on ``setting.device``; other methods ignore ``--device``.
    companions : mapping of str to str
        Parameters that name another dataset to learn from (``NAME:DIR``, ``NAME`` for an embedded
        one; None: no such dataset), and what `fit` finds of it in ``setting.others``:
        ``"labelled"``, all of it; ``"unlabelled"``, its images and landmarks, as kind ``multi``
        without a label; ``"people"``, a dataset that says who is seen.

    Attributes
    ----------
    setting : Setting
        Given by the engine before `fit`.
    """

    setting: Setting = Setting()
    kinds: ClassVar[tuple[str, ...]] = ("multi", "single")

    input: ClassVar[FaceInput] = FaceInput()
    needs_images: ClassVar[bool] = True
    needs_landmarks: ClassVar[bool] = False
    accelerated: ClassVar[bool] = False
    stateless: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    companions: ClassVar[Mapping[str, str]] = {}

    def requires(self) -> tuple[str, ...]:
        """Those of `companions` that must be given with the parameters as they are."""
        return ()

    def unsuited(self, kind: str) -> str | None:
        """Why it takes no dataset of a kind with its parameters as they are; None: it does.

        Overridden where a parameter lets it take a kind that is not in `kinds`. The engine asks
        where a method is named; ``all`` goes by `kinds` alone.
        """
        return (
            None
            if kind in self.kinds
            else f"{self.name}{self.member or ''} is not meant for {kind}-label data"
        )

    def weights_used(self) -> str | None:
        """SHA-256 of the file that `fit` reads weights or vectors from, 64 hexadecimal digits.

        Asked before anything runs, with ``setting`` in place; it is part of what a result hangs on.
        ``"random"`` where untrained weights were asked for by name, None where nothing is read.

        Raises
        ------
        UnavailableError
            The file is not there; says how to get it.
        BenchError
            The file is there and is no such thing.
        """
        return None

    def footnotes(self) -> tuple[str, ...]:
        """What a table must say beside the row, after `fit`: few words, few of them."""
        return ()

    def fit(self, faces: FaceSet, rng: np.random.Generator) -> Self:
        """Learn from the training part; returns self."""
        return self

    def transform(self, faces: FaceSet) -> np.ndarray:
        """Vectors of the faces.

        Returns
        -------
        float32 (n, d)
            Row i belongs to face i whatever other faces are in the call (the engine calls in
            chunks).
        """
        raise NotImplementedError

    def learned_weights(self) -> int:
        """After `fit`: how many numbers the training moved; 0 where nothing is trained."""
        return 0

    def learning_curve(self) -> list[dict[str, float | str]]:
        """After `fit`: one row per epoch, with ``phase`` where trainings have several."""
        return []

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """Further figures on the test part, by names of the field; kept apart from the criteria.

        Parameters
        ----------
        faces : FaceSet
            With their labels and landmarks: what is measured is what the method says of them.
        """
        return {}


class Network(Features):
    """An end-to-end method: features that also score and decide labels themselves.

    ``threshold`` as in `Classifier`.

    Attributes
    ----------
    earlier_seconds : float
        After `fit`: what sittings took that it went on from, and that the engine did not see.
    """

    earlier_seconds: float = 0.0
    threshold: ClassVar[str] = "label"
    trains: ClassVar[bool] = True
    stochastic: ClassVar[bool] = True

    def fit(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        """Learn from the training part; epochs and thresholds are chosen on ``valid``."""
        raise NotImplementedError

    def scores(self, faces: FaceSet) -> np.ndarray:
        """Float (n, L); higher means more likely present."""
        raise NotImplementedError

    def labels(self, faces: FaceSet) -> np.ndarray:
        """Bool (n, L), by the rule that the docstring names."""
        raise NotImplementedError

    def outputs(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`transform`, `scores` and `labels`; overridden where one pass gives all."""
        return self.transform(faces), self.scores(faces), self.labels(faces)

    def scores_are_distributions(self) -> bool:
        """Whether, after `fit`, the scores of a face are its label distribution, too."""
        return False

    def distribution(self, faces: FaceSet) -> np.ndarray | None:
        """Label distributions, float (n, L), rows summing to 1; None where the method has none."""
        return self.scores(faces) if self.scores_are_distributions() else None

    def tunes(self) -> bool:
        """Whether `tune` follows `fit` where faces of another dataset are asked about."""
        return False

    def tune(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        """Go on from `fit` with the training part of the dataset that is asked about.

        Its labels are in the columns of those that `fit` saw.
        """
        raise NotImplementedError


class Classifier(Plugin):
    """Learns label sets from vectors; a scikit-learn estimator outside the suite.

    Class attributes
    ----------------
    learns : {"labels", "distribution"}
        What `fit` gets as ``Y``: label sets, or label distributions, float (n, L), rows summing to
        1; the latter runs only on datasets that have them.
    stochastic : bool
        True where the result depends on ``random_state``; the engine sets it from the seed.
    needs_features : bool
        False where only the labels matter (`prior`); such a method runs alone, without ``+``.
    kinds : tuple of str
        Kinds of dataset it is meant for. On ``single`` the class is the highest score.
    threshold : {"label", "row"}
        What a label's score is compared with: one value for all rows, which may differ from label
        to label, or one for all labels of a row.

    Attributes
    ----------
    kind : {"multi", "single"}
        Of the dataset, given by the engine before `fit`, for methods that learn one class per row
        in another way. No hyper-parameter: scikit-learn's ``clone`` leaves it behind.
    """

    kind: str = "multi"
    learns: ClassVar[str] = "labels"
    stochastic: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("multi",)
    needs_features: ClassVar[bool] = True
    threshold: ClassVar[str] = "label"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.stochastic and "random_state" not in cls.params:
            cls.params["random_state"] = Param(0, "set from --seeds", ge=0, type="int")

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes that `fit` allocates for ``X`` (n, d) of ``itemsize`` bytes each; 0: few.

        Overridden where they grow faster than the data. The engine asks before `fit` and goes no
        further where ``--max-memory`` allows less.
        """
        return 0

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Learn from ``X`` float (n, d) and ``Y`` bool (n, L); returns self."""
        raise NotImplementedError

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Float (n, L); higher means more likely present. Ranking criteria take these."""
        raise NotImplementedError

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Bool (n, L), by the rule that the docstring names. Set criteria take these."""
        raise NotImplementedError

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both of the above; overridden where one pass gives both."""
        return self.scores(X), self.labels(X)

    def scores_are_distributions(self) -> bool:
        """Whether, after `fit`, the scores of a row are its label distribution, too."""
        return False

    def distribution(self, X: np.ndarray) -> np.ndarray | None:
        """Label distributions, float (n, L), rows summing to 1; None where the method has none."""
        return self.scores(X) if self.scores_are_distributions() else None

    # scikit-learn's names for the same things
    def predict(self, X: np.ndarray) -> np.ndarray:
        """Labels as 0/1 integers (n, L)."""
        return self.labels(X).astype(int)

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Scores (n, L)."""
        return self.scores(X)

    def score(self, X: np.ndarray, Y: np.ndarray) -> float:
        """Share of rows whose whole label set is right (scikit-learn's multi-label accuracy)."""
        return float((self.labels(X) == (Y > 0)).all(axis=1).mean())

    def __sklearn_is_fitted__(self) -> bool:
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True, multi_output=True, single_output=False),
            classifier_tags=ClassifierTags(multi_class=False, multi_label=True),
            input_tags=InputTags(),
        )


KINDS: Mapping[str, type[Plugin]] = {
    "Dataset": Dataset,
    "Features": Features,
    "Classifier": Classifier,
    "Network": Network,
}
