"""Studies that add their answers to one file: make what is missing there, or list it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from companion.studies.committed import project_root

Item = TypeVar("Item")


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
