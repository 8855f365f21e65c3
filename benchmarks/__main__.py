"""Run every benchmark and write ``results/benchmarks.json``: ``python -m benchmarks``."""

from __future__ import annotations

import json
import os
from itertools import count
from typing import Any

import torch

from benchmarks import costs, ensembles, optimizers, ranks
from benchmarks.timing import alternate
from dpgen_core.accounting import Accountant, Ledger, SampledGaussianEvent
from dpgen_core.cost import matmul_rate
from dpgen_core.provenance import provenance
from dpgen_core.speed import FILE
from dpgen_core.tables import project_root

CONV_WIDTHS = (4, 8, 16, 32)  # from where Python's overhead dominates to where arithmetic does


def accountants() -> dict[str, float]:
    """Seconds to account for 300 rounds, by accountant."""
    fresh = count()  # a noise nobody has asked about yet: the accountants remember answers

    def account(name: Accountant) -> float:
        ledger = Ledger(relation="replace-one", delta=1e-5, accountant=name)
        noise = 2.0 + 1e-6 * next(fresh)
        for _ in range(300):
            ledger.charge(SampledGaussianEvent("rounds", noise, 0.1))
        return ledger.epsilon(name)

    rdp, pld = alternate(lambda: account("rdp"), lambda: account("pld"), repeats=3)
    return {"rdp": rdp, "pld": pld}


def main() -> None:
    """All of them; some minutes on two cores."""
    found: dict[str, Any] = {"matmul_rate": matmul_rate(os.cpu_count() or 1)}
    found["loop"] = [ensembles.against_the_loop("mlp", width) for width in (16, 64)]
    found["loop"] += [ensembles.against_the_loop("conv", width) for width in CONV_WIDTHS]
    print(json.dumps(found["loop"], indent=1), flush=True)
    found["optimizers"] = [
        optimizers.step(model, memory) for model in optimizers.MODELS for memory in (False, True)
    ]
    found["ranks"] = ranks.compare()
    found["accountants"] = accountants()
    print(json.dumps({k: found[k] for k in ("optimizers", "ranks", "accountants")}, indent=1))
    found["cost"] = costs.measure()
    found["grid"] = ensembles.grid()
    found["made_with"] = provenance(torch.device("cpu"))
    target = project_root() / "results" / FILE
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=2) + "\n")
    os.replace(partial, target)
    print(target)


if __name__ == "__main__":
    main()
