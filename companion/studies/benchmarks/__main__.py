"""Run the benchmarks and write ``results/benchmarks.json``.

``python -m companion.studies.benchmarks [PART ...]`` runs all parts, or those that are named.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import torch

from companion.studies.benchmark_results import BENCHMARKS_FILE, load_benchmarks
from companion.studies.benchmarks import costs, ensembles, imports, minutes, optimizers, ranks
from companion.studies.benchmarks.timing import alternate
from companion.studies.committed import project_root
from dpgen_core.accounting.events import Accountant, SampledGaussianEvent
from dpgen_core.accounting.ledger import Ledger
from dpgen_core.checks import check_choice
from dpgen_core.files import write_whole
from dpgen_core.records.provenance import provenance

MLP_WIDTHS = (16, 64)
CONV_WIDTHS = (4, 8, 16, 32)  # from mostly overhead of Python to mostly arithmetic


def accountants() -> dict[str, float]:
    """Seconds to account for 300 rounds, by accountant."""
    fresh = count()  # new noise for each call: the accountants cache their answers

    def account(name: Accountant) -> float:
        ledger = Ledger(relation="replace-one", delta=1e-5, accountant=name)
        noise = 2.0 + 1e-6 * next(fresh)
        for _ in range(300):
            ledger.charge(SampledGaussianEvent("rounds", noise, 0.1))
        return ledger.epsilon(name)

    rdp, pld = alternate(lambda: account("rdp"), lambda: account("pld"), repeats=3)
    return {"rdp": rdp, "pld": pld}


def loops() -> list[dict[str, Any]]:
    """A batched critic step against a loop, for both kinds of critics, also on a GPU if any."""
    return [
        ensembles.against_the_loop(critic, width, device=device)
        for device in (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
        for critic, widths in (("mlp", MLP_WIDTHS), ("conv", CONV_WIDTHS))
        for width in widths
    ]


def steps() -> list[dict[str, Any]]:
    """A step of `EFSGD` against one of Opacus, with and without a memory."""
    return [
        optimizers.step(model, memory) for model in optimizers.MODELS for memory in (False, True)
    ]


PARTS: dict[str, Callable[[], Any]] = {
    "imports": imports.measure,
    "loop": loops,
    "optimizers": steps,
    "ranks": ranks.compare,
    "accountants": accountants,
    "cost": costs.measure,
    "grid": ensembles.grid,
    "metrics": minutes.metrics,
    "test": minutes.tests,
    "book": minutes.book,
    "book-without-data": minutes.book_without_data,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """All parts, which take two hours on two cores, or those that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.studies.benchmarks", description=main.__doc__
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    chosen = parser.parse_args(arguments).parts or list(PARTS)
    for part in chosen:
        check_choice("parts", part, PARTS)
    target = project_root() / "results" / BENCHMARKS_FILE
    found = load_benchmarks(target.parent)
    made_with = provenance(torch.device("cpu"))  # before this run's own file makes the tree dirty
    for part in chosen:
        found[part] = PARTS[part]()
        found.setdefault("made_with", {})[part] = made_with
        print(part, json.dumps(found[part], indent=1), flush=True)
        # each part is kept even if the next one fails
        write_whole(target, json.dumps(found, indent=2) + "\n")
    print(target)


if __name__ == "__main__":
    main()
