"""``make mutants``: would the tests notice if the code that the guarantee rests on were changed?

Runs mutmut over the modules named in ``pyproject.toml`` (accounting, mechanism, noise), prints the share
of mutants that the tests kill, lists those that survive, and notes the outcome in
``results/mutants.json``. It takes an hour or so on two cores; what is unchanged is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dpgen_core.checks import require
from dpgen_core.tables import project_root

FILE = "mutants.json"
GOAL = 0.9
_STATS = Path("mutants") / "mutmut-cicd-stats.json"
_KILLED = ("killed", "timeout", "segfault")  # a mutant that hangs or crashes is noticed as well
_ALIVE = ("survived", "no_tests", "suspicious")


def score(stats: dict[str, int]) -> float:
    """Share of the mutants that were noticed.

    Args:
        stats: mutmut's counts by outcome.

    Raises:
        InvalidArgument: there is no mutant.
    """
    killed = sum(stats.get(name, 0) for name in _KILLED)
    total = killed + sum(stats.get(name, 0) for name in _ALIVE)
    require(total > 0, "stats", stats, "counts of at least one mutant", "mutmut run")
    return killed / total


def run(root: Path, children: int) -> dict[str, Any]:
    """Run mutmut in the clone `root`; the score, the counts, and the survivors with their change."""
    subprocess.run([*_mutmut(), "run", "--max-children", str(children)], cwd=root, check=False)
    subprocess.run([*_mutmut(), "export-cicd-stats"], cwd=root, check=True, capture_output=True)
    stats = json.loads((root / _STATS).read_text())
    listed = _output([*_mutmut(), "results"], root)
    alive = [line.split(":")[0].strip() for line in listed.splitlines() if "survived" in line]
    survivors = {name: _change(_output([*_mutmut(), "show", name], root)) for name in alive}
    return {"score": round(score(stats), 4), "stats": stats, "survivors": survivors}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when the score reaches the goal."""
    parser = argparse.ArgumentParser(prog="python -m dpgen_core.mutants")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1)
    root = project_root()
    outcome = run(root, parser.parse_args(arguments).children)
    target = root / "results" / FILE
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(outcome, indent=2, ensure_ascii=False) + "\n")
    os.replace(partial, target)
    for name, change in outcome["survivors"].items():
        print(name, *change, sep="\n    ")
    print(f"mutation score {outcome['score']:.1%}, goal {GOAL:.0%}")
    return 0 if outcome["score"] >= GOAL else 1


def _mutmut() -> list[str]:
    return [sys.executable, "-m", "mutmut"]


def _output(command: list[str], root: Path) -> str:
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def _change(shown: str) -> list[str]:
    """The changed lines of a diff."""
    lines = [
        line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    return [" ".join(line.split()) for line in lines]


if __name__ == "__main__":
    sys.exit(main())
