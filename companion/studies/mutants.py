"""``make mutants``: would the tests notice a change to the code that the guarantee rests on?

Runs mutmut over the modules named in ``pyproject.toml`` (accounting, mechanism, noise), prints the
share of mutants that the tests kill and the survivors, and writes ``results/mutants.json``. It
takes about an hour on two cores; unchanged functions are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from companion.studies.committed import project_root
from dpgen_core.checks import require
from dpgen_core.files import write_whole
from dpgen_core.records.provenance import commit

MUTANTS_FILE = "mutants.json"
GOAL = 0.9
_STATS = Path("mutants") / "mutmut-cicd-stats.json"
_KILLED = ("killed", "timeout", "segfault")  # a mutant that hangs or crashes is noticed as well
_ALIVE = ("survived", "no_tests", "suspicious")

# Why the survivors of each function are no holes in the guarantee. A test checks that exactly the
# functions with a survivor have an entry.
ARGUED: Mapping[str, str] = MappingProxyType(
    {
        "calibration._check_rest": (
            "A message comes earlier or later for a target that is spent to the last bit; the "
            "calibration that follows refuses it either way."
        ),
        "calibration._least_noise": (
            "Start, step and bracket of a search. It ends at a noise whose epsilon is computed "
            "again and is within the budget; two tests check that."
        ),
        "calibration.calibrate_gaussian": (
            "The name of an event used only in the search; the relation has no effect on a "
            "release in units of its own sensitivity."
        ),
        "calibration.calibrate_noise": (
            "The name of an event used only in the search; an unknown accountant reads as the "
            "tight one, and the calibration that follows uses the right one."
        ),
        "calibration.epsilon_spent": "The name of an event used only in the function.",
        "calibration.max_rounds": "The name of an event used only in the function.",
        "calibration.most_fitting": (
            "Start and step of a search; a test checks that the last round fits and that one "
            "more does not."
        ),
        "calibration.total_variation": (
            "Steps of a bisection, within its tolerance; an unknown accountant reads as the "
            "tight one, which is the same for a group."
        ),
        "clipping.clip_contributions": (
            "A default that mutmut hides: it calls the changed function with every argument "
            "filled in from the original."
        ),
        "clipping.clip_rows": "A factor exactly on the border to double precision.",
        "clipping.row_norms": "An empty last block adds a zero to the norm.",
        "efsgd.EFSGD.__init__": (
            "The value shown in a message that appears only when that value is None."
        ),
        "efsgd.EFSGD._release": (
            "The norm that stands in for a broken gradient, which is a row of zeros by then; a "
            "norm exactly on the border to double precision; checks of lengths that are equal by "
            "construction; types that are the same already."
        ),
        "error_memory.ErrorMemory.__init__": "The device: the tests run where there is only one.",
        "error_memory.ErrorMemory.feed_back": "None is what these two calls take by default.",
        "events._compose": (
            "Rate one as a sampled release: the same mechanism, and the same figure by both "
            "accountants."
        ),
        "events.Setting.__post_init__": (
            "Delta as a plain float: every other type of number compares and computes alike."
        ),
        "ledger.Ledger._fits": (
            "Speed only: the search follows another accountant, or its answer is kept under "
            "another, equally unique key. Tests check a charge at the last round that fits and "
            "at the next one."
        ),
        "ledger.bound_text": "The digit of the unit: only its exponent is used.",
        "pld._rounding": "An allowance for rounding, wider by a tenth at most.",
        "pld.pld_epsilon": (
            "The grid of losses: a coarser or finer one moves the figure within the tolerance "
            "of its tests, and upwards, as the distribution is pessimistic; margins against "
            "rounding, a thousand times smaller than the tolerance of the tests."
        ),
        "rdp._add_or_remove_rdp": (
            "Margins of 1e-12 and the last order before Opacus's series overflows."
        ),
        "rdp._check_orders": "With dtype None the numbers have the same type.",
        "rdp._default_orders": "An order exactly on the border between two ways of spacing them.",
        "rdp._log_integrand": "The size of rounding errors, a term of 1e-15.",
        "rdp._log_moment": (
            "Reach and step of a quadrature that doubles its points until two rules agree: a "
            "worse start costs time. Tails and rounding terms lie below the tolerance."
        ),
        "rdp.rdp_to_epsilon": "With dtype None the numbers have the same type.",
        "rdp.sampled_gaussian_rdp": "With dtype None the numbers have the same type.",
        "release.sanitize": "With None the noise keeps its type, which is that of the total.",
        "streams.HiddenStream.normal": (
            "With dtype None the numbers have the same type; the value exactly in the middle "
            "counts to the lower half or to the upper."
        ),
        "streams.secret_key": "The key's length: the system's own default, which is as long.",
        "streams.stream": "The device, and the order of bytes, whose default is the one written.",
    }
)


def score(stats: dict[str, int]) -> float:
    """Share of the mutants that the tests noticed.

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
    """Run mutmut in the clone `root`; returns score, counts, and survivors with their change."""
    subprocess.run([*_mutmut(), "run", "--max-children", str(children)], cwd=root, check=False)
    subprocess.run([*_mutmut(), "export-cicd-stats"], cwd=root, check=True, capture_output=True)
    stats = json.loads((root / _STATS).read_text())
    listed = _output([*_mutmut(), "results"], root)
    alive = [line.split(":")[0].strip() for line in listed.splitlines() if "survived" in line]
    survivors = {name: _change(_output([*_mutmut(), "show", name], root)) for name in alive}
    return {
        "commit": commit(),
        "score": round(score(stats), 4),
        "stats": stats,
        "survivors": survivors,
    }


def load_mutants(results: Path) -> dict[str, Any]:
    """The committed outcome of ``make mutants``."""
    return json.loads((results / MUTANTS_FILE).read_text())


def score_line(outcome: Mapping[str, Any]) -> str:
    """The outcome in a sentence, as Markdown."""
    stats = outcome["stats"]
    tried = sum(stats.get(name, 0) for name in (*_KILLED, *_ALIVE))
    where = outcome.get("commit")
    measured = f"Measured at commit `{where}`." if where else "The run did not note its commit."
    return (
        f"**Mutation score: {outcome['score']:.1%}** of {tried} mutants were noticed, "
        f"{stats.get('timeout', 0)} of them because they did not end; "
        f"{len(outcome['survivors'])} survive. {measured} Later changes are not included."
    )


def function_of(mutant: str) -> str:
    """``module.function`` or ``module.Class.method`` of a mutant's name, as `ARGUED` has it.

    Example:
        >>> function_of("dpgen_core.accounting.rdp.x__log_moment__mutmut_12")
        'rdp._log_moment'
        >>> function_of("dpgen_core.mechanism.efsgd.xǁEFSGDǁ__init____mutmut_89")
        'efsgd.EFSGD.__init__'
    """
    *_, module, mangled = mutant.rsplit("__mutmut_", 1)[0].split(".")
    parts = mangled.split("ǁ")[1:] if "ǁ" in mangled else [mangled.removeprefix("x_")]
    return ".".join([module, *parts])


def survivor_table(outcome: Mapping[str, Any]) -> pd.DataFrame:
    """Survivors by function, and why they are no holes.

    Args:
        outcome: contents of ``results/mutants.json``.
    """
    counts = pd.Series([function_of(name) for name in outcome["survivors"]]).value_counts()
    rows = [
        (name, int(counts[name]), ARGUED.get(name, "not argued")) for name in sorted(counts.index)
    ]
    return pd.DataFrame(rows, columns=["function", "survivors", "why"]).set_index("function")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when the score reaches the goal."""
    parser = argparse.ArgumentParser(prog="python -m companion.studies.mutants")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1)
    root = project_root()
    outcome = run(root, parser.parse_args(arguments).children)
    target = root / "results" / MUTANTS_FILE
    write_whole(target, json.dumps(outcome, indent=2, ensure_ascii=False) + "\n")
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
