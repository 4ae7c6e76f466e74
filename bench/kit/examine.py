"""The plug-in test kit: what every plug-in has to do, checked on small made-up data.

A check is a function of a `Subject`; its name, read as words, is the check's name.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bench.api import BenchError, UnavailableError
from bench.kit import classifier as kit_classifier
from bench.kit import dataset as kit_dataset
from bench.kit import features as kit_features
from bench.kit import general as kit_general
from bench.kit.general import Check, FailedError, InapplicableError, Subject
from bench.plugins import Entry
from bench.run.pool import Outcome, Pool, Task

SECONDS = 60.0  # for one check; all of a well-behaved plug-in take a few

CHECKS: dict[str, tuple[Check, ...]] = {
    "Classifier": kit_general.CHECKS + kit_classifier.CHECKS,
    "Dataset": kit_general.CHECKS + kit_dataset.CHECKS,
    "Features": kit_general.CHECKS + kit_features.CHECKS,
    "Network": kit_general.CHECKS + kit_features.CHECKS + kit_features.NETWORK_CHECKS,
}


@dataclass(frozen=True)
class Finding:
    """What came of one check.

    Attributes
    ----------
    plugin, check : str
        Names, that of a family's member included.
    status : {"ok", "failed", "does not apply"}
    reason : str
        One sentence; empty where ok.
    """

    plugin: str
    check: str
    status: str = "ok"
    reason: str = ""


def title(check: Check) -> str:
    """``fit_twice_equals_fit_once``: fit twice equals fit once."""
    return check.__name__.replace("_", " ")


def subjects(entry: Entry) -> list[Subject]:
    """What is to be checked in an entry: the plug-in, or the members that a family names.

    Raises
    ------
    BenchError
        Where the file cannot be imported.
    """
    plugin = entry.load()
    members = (plugin.members or ("example",)) if entry.name.endswith(":") else (None,)
    return [Subject(plugin, member, entry.file) for member in members]


def verdict(subject: Subject, kind: str, check: Check, exempt: bool = True) -> Finding:
    """Run one check here.

    Parameters
    ----------
    kind : str
        The entry's kind.
    exempt : bool
        False to run it even where the plug-in asks to be spared.
    """
    status, reason = "failed", ""
    try:
        asked = subject.plain().exempt() if exempt else {}
        unknown = sorted(set(asked) - {title(one) for one in CHECKS[kind]})
        if unknown:
            raise FailedError(f"exempt() names {unknown[0]!r}, which is no check")
        if title(check) in asked:
            raise InapplicableError(asked[title(check)])
        check(subject)
        status = "ok"
    except (InapplicableError, UnavailableError) as error:
        status, reason = "does not apply", str(error)
    except (FailedError, BenchError) as error:
        reason = str(error)
    except Exception as error:
        reason = f"{type(error).__name__}{_place(error, subject.file)}: {error}"
    return Finding(subject.name, title(check), status, " ".join(reason.split()))


def _place(error: Exception, file: Path) -> str:
    """The last line of the plug-in's file that an error went through."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == file
    ]
    return f" ({file.name}:{lines[-1]})" if lines else ""


def examine(entry: Entry, log: Path, seconds: float = SECONDS) -> Iterator[Finding]:
    """Every check of an entry, each in a worker process that is ended after ``seconds``."""
    pool = Pool(1, log, seconds)
    pool.submit(Task((entry.name, "import"), _members, (entry,)))
    try:
        for outcome in pool.outcomes():
            plugin, check = cast(tuple[str, str], outcome.task.name)
            if outcome.status != "done":
                yield Finding(plugin, check, "failed", _loss(outcome))
            elif check != "import":
                yield outcome.value
            else:
                yield Finding(plugin, check)
                for number, name in enumerate(outcome.value):
                    for one in CHECKS[entry.kind]:
                        task = Task((name, title(one)), _verdict, (entry, number, one))
                        pool.submit(task)
    finally:
        pool.close()


def _members(entry: Entry) -> list[str]:
    return [subject.name for subject in subjects(entry)]


def _verdict(entry: Entry, number: int, check: Check) -> Finding:
    return verdict(subjects(entry)[number], entry.kind, check)


def _loss(outcome: Outcome) -> str:
    """Why a check came to no verdict."""
    if outcome.status == "timeout":
        return f"it took longer than {outcome.value:g} s and was ended"
    if outcome.status == "died":
        return (
            f"the process died (exit code {outcome.value}; -9 is often the kernel, out of memory)"
        )
    return " ".join(str(outcome.value).split())
