"""The options of a run: one dataclass behind the command line, a TOML file and the planner.

Each option is spelled here once: its name, type, range, default and help. ``bench.cli.options``
makes a parser of them; values from anywhere are validated by msgspec, and what is wrong is said in
one sentence that names the file or the option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from bench.api import BenchError, near

CROSS = "cross"  # the protocol that trains on one dataset and measures on another
Budget = Literal["smoke", "quick", "paper"]
Selection = Literal["valid", "last", "test"]
Threshold = Literal["own", "cardinality", "micro-f1", "hamming"]
BUDGETS: tuple[str, ...] = get_args(Budget)
SELECTIONS: tuple[str, ...] = get_args(Selection)
THRESHOLDS: tuple[str, ...] = get_args(Threshold)
OWN = "own"  # each method's own rule for label sets

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"MB": 1e6, "GB": 1e9, "TB": 1e12}
_PATHS = ("root", "results", "plugins")  # in a file, meant from where the file lies


_MOST = 1000  # seeds, processes or threads: more is a slip of the finger


def _shown(help: str, metavar: str = "", least: int | None = None) -> dict[str, Any]:
    """What ``--help`` says of an option, and the least value of a number, which has a largest."""
    return {"help": help, "metavar": metavar, "least": least}


@dataclass(frozen=True)
class RunOptions:
    """What a run does, as the user writes it; see each option's help."""

    dataset: str = field(default="", metadata=_shown("see bench list datasets", "NAME"))
    methods: str = field(default="", metadata=_shown("see bench list methods", "LIST"))
    root: Path | None = field(default=None, metadata=_shown("else $BENCH_DATA/<dataset>", "DIR"))
    protocol: str | None = field(
        default=None,
        metadata=_shown(
            "official, cv10, cv10-subject, cv10-blocks, holdout-60-20-20, cross, …", "P"
        ),
    )
    seeds: int = field(default=1, metadata=_shown("seeds of stochastic methods [1]", "N", least=1))
    budget: Budget = field(default="paper", metadata=_shown("training [paper]"))
    selection: Selection = field(
        default="valid",
        metadata=_shown(
            "how a network's epoch is chosen; test only to match a paper that did so [valid]"
        ),
    )
    threshold: Threshold = field(
        default="own",
        metadata=_shown(
            "label sets by each method's own rule, or by one threshold on its scores: as many "
            "labels as in train on average, or the best for a criterion; fitted on the validation "
            "part, else in --inner folds of train [own]"
        ),
    )
    device: str = field(
        default="auto",
        metadata=_shown("of networks: cpu, cuda, cuda:1 [a GPU where there is one]", "D"),
    )
    target: str | None = field(
        default=None,
        metadata=_shown("protocol cross: train on --dataset, measure on this one", "NAME[:DIR]"),
    )
    target_protocol: str | None = field(
        default=None, metadata=_shown("its folds: official, cv5-subject, …", "P")
    )
    tune: str | None = field(
        default=None,
        metadata=_shown(
            "choose these swept parameters on the training part, instead of a row for each value",
            "NAMES",
        ),
    )
    inner: str | None = field(
        default=None,
        metadata=_shown(
            "folds of the training part, for --tune and --threshold: cvK, cvK-subject, cvK-blocks, "
            "holdout-A-B [cv5, by subject or in blocks where --protocol is]",
            "P",
        ),
    )
    tune_by: str | None = field(
        default=None,
        metadata=_shown(
            "by which criterion [average_precision; accuracy where rows have one class]", "C"
        ),
    )
    workers: int | None = field(
        default=None, metadata=_shown("processes [one per core]", "N", least=1)
    )
    threads: int = field(
        default=1, metadata=_shown("of each process; rounding follows them [1]", "N", least=1)
    )
    timeout: str | None = field(default=None, metadata=_shown("for one cell: 90s, 30m, 2h", "T"))
    max_memory: str | None = field(
        default=None,
        metadata=_shown(
            "for one classifier that says what it needs: 500MB, 8GB [80 %% of the machine's, "
            "shared among the workers]",
            "M",
        ),
    )
    results: Path = field(
        default=Path("bench-results"), metadata=_shown("[./bench-results]", "DIR")
    )
    plugins: tuple[Path, ...] = field(
        default=(), metadata=_shown("plug-in file, or folder of them; may be repeated", "PATH")
    )

    def check(self) -> None:
        """Raise `BenchError` where options are missing, wrong, or do not go together."""
        for name in OPTIONS:
            _checked(name, getattr(self, name), flag(name))
        for name in ("dataset", "methods"):
            if not getattr(self, name):
                raise BenchError(
                    f"--{name} is missing: bench run --dataset synthetic --methods all"
                )
        if self.protocol == CROSS:
            self._check_cross()
            return
        for name in ("target", "target_protocol"):
            if (value := getattr(self, name)) is not None:
                raise BenchError(f"{flag(name)} {value} needs --protocol {CROSS}")

    def _check_cross(self) -> None:
        if self.target is None:
            raise BenchError(
                f"--protocol {CROSS} trains on --dataset and measures on another: name that with "
                "--target NAME:DIR"
            )
        if self.threshold != OWN:
            raise BenchError(
                f"--threshold {self.threshold} does not go with --protocol {CROSS}: a network that "
                "is asked as it is has seen no image of the target to fit a threshold on"
            )
        if self.selection == "test":
            raise BenchError(
                f"--selection test does not go with --protocol {CROSS}: the epoch would be chosen "
                "on other data than the test part"
            )

    @property
    def seconds(self) -> float | None:
        """What ``timeout`` says; None without one. Raises `BenchError` where it says nothing."""
        if self.timeout is None:
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", self.timeout.strip())
        seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
        if seconds <= 0:
            raise BenchError(f"--timeout {self.timeout}: write 90s, 30m or 2h")
        return seconds

    @property
    def memory(self) -> float | None:
        """Bytes of ``max_memory``; None without. Raises `BenchError` where it says nothing."""
        if self.max_memory is None:
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MGT]B)", self.max_memory.strip().upper())
        size = float(match[1]) * _BYTES[match[2]] if match else 0.0
        if size <= 0:
            raise BenchError(f"--max-memory {self.max_memory}: write 500MB or 8GB")
        return size


OPTIONS: Mapping[str, Field[Any]] = {option.name: option for option in fields(RunOptions)}
TYPES: Mapping[str, Any] = get_type_hints(RunOptions)


def flag(name: str) -> str:
    """An option as the command line spells it."""
    return f"--{name.replace('_', '-')}"


def options_of(given: Mapping[str, Any], file: Path | None = None) -> RunOptions:
    """The options from the command line, else from a TOML file, else the defaults.

    Parameters
    ----------
    given : mapping
        By name; None where the user gave none.
    file : Path or None
        ``--config``.

    Raises
    ------
    BenchError
        An unknown key, a wrong type, a value out of range.
    """
    values = {} if file is None else read_file(file)
    for name, value in given.items():
        if value is not None:
            _checked(name, value, flag(name))
            values[name] = value
    import msgspec  # here and below: `bench --help` validates nothing and need not wait for it

    return msgspec.convert(values, RunOptions, dec_hook=_path)


def read_file(file: Path) -> dict[str, Any]:
    """The options that a TOML file gives, by name; raises `BenchError` where one is wrong."""
    import tomllib  # most runs have no file, and `bench --help` need not wait for it

    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchError(f"--config {file}: {error}") from error
    except OSError as error:
        raise BenchError(f"--config {file}: {error.strerror or error}") from error
    for name, value in values.items():
        if name not in OPTIONS:
            raise BenchError(f"--config {file}: unknown key {name!r}: {near(name, OPTIONS)}")
        _checked(name, value, f"--config {file}: {name}")
    for name in set(_PATHS) & set(values):
        value = values[name]
        several = isinstance(value, list)
        values[name] = [file.parent / item for item in value] if several else file.parent / value
    return values


def _checked(name: str, value: Any, where: str) -> None:
    """Raise `BenchError` unless an option takes the value."""
    choices = get_args(TYPES[name]) if get_origin(TYPES[name]) is Literal else ()
    if choices and value not in choices:
        raise BenchError(f"{where} {value}: one of {', '.join(choices)}")
    import msgspec

    least = OPTIONS[name].metadata["least"]
    numbers = least is not None and value is not None
    kind = Annotated[int, msgspec.Meta(ge=least, le=_MOST)] if numbers else TYPES[name]
    try:
        msgspec.convert(value, kind, dec_hook=_path)
    except msgspec.ValidationError as error:
        words = str(error).replace("`", "").replace("Expected", "expected")
        raise BenchError(f"{where} {value}: {words}") from error


def _path(kind: type, value: Any) -> Any:
    """Paths, which msgspec does not know: text, or a path already."""
    import msgspec

    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise msgspec.ValidationError(f"Expected text, got {type(value).__name__}")
