"""Studies that add their answers to one file: make what is missing there, or list it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from companion.studies.committed import project_root
from dpgen_core.files import write_whole
from dpgen_core.records.provenance import provenance

Item = TypeVar("Item")


@dataclass(frozen=True)
class Named:
    """What a study measures, named by its fields; a base for its dataclass."""

    def name(self) -> str:
        """Its entry in the file."""
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())


class HasName(Protocol):
    """Whatever has an entry in a file."""

    def name(self) -> str:
        """Its entry in the file."""


Kept = TypeVar("Kept", bound=HasName)


def load_answers(path: Path) -> dict[str, Any]:
    """What the file holds so far; empty where there is none."""
    return json.loads(path.read_text()) if path.exists() else {}


def unanswered(path: Path, kind: str, items: Iterable[Kept]) -> list[Kept]:
    """The items that the file has no answer for, in order, each once.

    Args:
        path: the study's file; there may be none yet.
        kind: heading of the answers.
        items: all that the study asks for.
    """
    found = load_answers(path).get(kind, {})
    return [item for item in dict.fromkeys(items) if item.name() not in found]


def add_answer(path: Path, kind: str, name: str, answer: Any, **about: Any) -> None:
    """Put one answer below `kind`; the file is whole before and after.

    Args:
        path: the study's file.
        kind: heading of the answers.
        name: of the answer among them.
        answer: JSON-ready.
        **about: what the file says of itself, such as ``made_with``; what is there already stays.
    """
    found = about | load_answers(path)
    found.setdefault(kind, {})[name] = answer
    write_whole(path, json.dumps(found, indent=1) + "\n")


def measure_all(
    left: Iterable[Kept], path: Path, measure: Callable[[Kept], Mapping[str, Any]]
) -> None:
    """Measure these points on the CPU; the file is whole after each.

    Args:
        left: from `unanswered`.
        path: the study's file.
        measure: gives the answer for one point.
    """
    for point in left:
        answer, made_with = measure(point), provenance(torch.device("cpu"))
        add_answer(path, "points", point.name(), answer, made_with=made_with)
        print(f"{point.name()}: {answer}", flush=True)


def make_missing(
    study: str,
    description: str | None,
    arguments: Sequence[str] | None,
    *,
    missing: Callable[[Path], Sequence[Item]],
    run_all: Callable[[Sequence[Item], Path], None],
    named: Callable[[Item], str],
) -> int:
    """The command line ``python -m companion.studies.STUDY [--results FOLDER] [--list]``; 0.

    Args:
        study: name of the module.
        description: for ``--help``.
        arguments: None takes those of the process.
        missing: what a folder of results has no answer for, in order.
        run_all: makes these answers and adds them there.
        named: what ``--list`` prints for one.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m companion.studies.{study}", description=description
    )
    parser.add_argument("--results", type=Path, default=None, help="default: results of the clone")
    parser.add_argument("--list", action="store_true", help="only list what is missing")
    options = parser.parse_args(arguments)
    results = options.results or project_root() / "results"
    left = missing(results)
    if options.list:
        print(*map(named, left), sep="\n")
    else:
        run_all(left, results)
    return 0
