"""``make audit``: attack the guarantee in three ways, print the tables, save the outcome.

1. The worst case of one step, simulated a million times (`worst_case`): the lineage's and ours.
2. The training code, unchanged and with planted faults (`training_checks`, `planted_faults`).
3. Membership inference against generators trained on half of a data set (`membership`).

The outcome is ``results/audit.json``, from which the book's chapter is built.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from companion.studies.committed import project_root
from companion.studies.lineage_accounting import SETTINGS
from companion.studies.membership import audit_membership
from companion.studies.release_faults import audit_release_faults
from companion.studies.training_checks import audit_faults
from companion.studies.worst_case import StepAudit, audit_steps, lineage_step, our_step
from dpgen_core.accounting.calibration import calibrate_noise
from dpgen_core.config.make import make_config
from dpgen_core.data import sets as data
from dpgen_core.files import write_whole

AUDIT_FILE = "audit.json"
CLAIM = MappingProxyType({"epsilon": 10.0, "delta": 1e-5})
OUR_RATE, OUR_ROUNDS = 0.1, 500


def mechanism_audit(trials: int = 1_000_000) -> dict[str, StepAudit]:
    """The lineage's mechanism at its published settings, and ours calibrated to the same claim."""
    audits = {}
    for name, settings in SETTINGS.items():
        pair = lineage_step(
            num_discriminators=int(settings["num_discriminators"]),
            noise_multiplier=settings["noise_multiplier"],
            batch=int(settings["batch"]),
        )
        audits[f"one discriminator drawn, {name} settings"] = audit_steps(
            pair,
            rounds=int(settings["steps"]),
            claimed_epsilon=CLAIM["epsilon"],
            delta=CLAIM["delta"],
            trials=trials,
        )
    noise = calibrate_noise(
        target_epsilon=CLAIM["epsilon"],
        delta=CLAIM["delta"],
        sampling_rate=OUR_RATE,
        rounds=OUR_ROUNDS,
        accountant="pld",
    )
    audits["Poisson-sampled shards (ours)"] = audit_steps(
        our_step(sampling_rate=OUR_RATE, noise_multiplier=noise),
        rounds=OUR_ROUNDS,
        claimed_epsilon=CLAIM["epsilon"],
        delta=CLAIM["delta"],
        trials=trials,
    )
    return audits


def membership_audits(*, quick: bool = False) -> dict[str, dict[str, Any]]:
    """Generators trained on half of MNIST (`glyphs` without it), and one that copies.

    Args:
        quick: tiny runs on `glyphs`, only to show that the code runs.
    """
    name = "mnist" if not quick and data.available("mnist", download=False) else "glyphs"
    count = 1000 if quick else 30_000
    pool = data.load(name, "train", num_records=2 * count)
    sizes: dict[str, Any] = {"pairs": 200, "outliers": 20, "synthetic": 500} if quick else {}
    runs: dict[str, tuple[str, dict[str, Any]]] = {
        "efsgd-prior": ("efsgd-prior", {}),
        "gaussian": ("gaussian", {}),
        "a generator that copies": ("gaussian", {"copies": 100 if quick else 2000}),
    }
    outcome = {}
    for title, (method, fault) in runs.items():
        config = make_config(
            dataset=name,
            method=method,
            profile="smoke" if quick else "quick",
            epsilon=CLAIM["epsilon"],
            num_records=count,
        )
        found = audit_membership(config, pool, **sizes, **fault)
        outcome[title] = {"dataset": name, "epsilon": config.privacy.epsilon} | asdict(found)
    return outcome


def run_audit(*, quick: bool = False) -> dict[str, Any]:
    """All audits, as plain JSON types."""
    started = time.perf_counter()
    audits = mechanism_audit(20_000 if quick else 1_000_000)
    faults = audit_faults()
    return {
        "mechanism": {n: asdict(a) | {"violated": a.violated} for n, a in audits.items()},
        "faults": {name: [asdict(f) for f in found] for name, found in faults.items()},
        "release_faults": {
            name: [asdict(f) for f in found] for name, found in audit_release_faults().items()
        },
        "membership": membership_audits(quick=quick),
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "cores": os.cpu_count(),
        "quick": quick,
    }


def failures(outcome: Mapping[str, Any]) -> list[str]:
    """What is wrong with an outcome: a fault that was missed, or an alarm without a fault."""
    wrong = []
    for name, audit in outcome["mechanism"].items():
        if "ours" in name and audit["violated"]:
            wrong.append(f"{name}: the claim is violated")
    planted = [*outcome["faults"].items(), *outcome["release_faults"].items()]
    for fault, findings in planted:
        caught = not all(finding["passed"] for finding in findings)
        if caught == (fault == "none"):
            wrong.append(f"{fault}: {'alarm without a fault' if caught else 'not caught'}")
    for name, found in outcome["membership"].items():
        caught = found["auc_low"] > 0.5 or found["pairs_epsilon"] > found["epsilon"]
        if caught != ("copies" in name):
            wrong.append(f"{name}: {'members are found' if caught else 'not caught'}")
    return wrong


def mechanism_table(outcome: Mapping[str, Any]) -> pd.DataFrame:
    """One row per mechanism: the claim, the bounds, the verdict."""
    rows = {}
    for name, audit in outcome["mechanism"].items():
        rows[name] = {
            "claimed epsilon": f"{audit['claimed_epsilon']:g}",
            "epsilon at least (threshold)": f"{audit['threshold_epsilon']:.2f}",
            "epsilon at least (hockey-stick)": f"{audit['epsilon']:.2f}",
            "delta at the claim, at least": f"{audit['delta_at_claim']:.2g}",
            "claim violated": "yes" if audit["violated"] else "no",
        }
    return pd.DataFrame(rows).T


def fault_table(outcome: Mapping[str, Any]) -> pd.DataFrame:
    """One row per fault, one column per check: passed or caught."""
    rows = {}
    for fault, findings in outcome["faults"].items():
        rows[fault] = {f["check"]: "passed" if f["passed"] else "CAUGHT" for f in findings}
    return pd.DataFrame(rows).T.rename_axis("planted fault")


def release_fault_table(outcome: Mapping[str, Any]) -> pd.DataFrame:
    """One row per fault in what may depend on what: the check for it, what it found, the test.

    The tests are those of ``tests/studies/test_release_checks.py``.
    """
    rows = {}
    for fault, findings in outcome["release_faults"].items():
        for finding in findings:
            test = f"test_a_planted_fault_is_noticed[{fault}]"
            if fault == "none":
                test = f"test_the_code_as_it_is_passes[{finding['check']}]"
            rows[fault, finding["check"]] = {
                "found": finding["value"],
                "verdict": "passed" if finding["passed"] else "CAUGHT",
                "test": test,
            }
    return pd.DataFrame(rows).T.rename_axis(["planted fault", "check"])


def finding_table(outcome: Mapping[str, Any], fault: str = "none") -> pd.DataFrame:
    """The figures of every check under one fault."""
    rows = {
        f["check"]: {"found": f["value"], "allowed": f["allowed"]} for f in outcome["faults"][fault]
    }
    return pd.DataFrame(rows).T.rename_axis("check")


def membership_table(outcome: Mapping[str, Any]) -> pd.DataFrame:
    """One row per generator: what an attacker finds out about its members."""
    rows = {}
    for name, m in outcome["membership"].items():
        rows[name] = {
            "AUC (99 % interval)": f"{m['auc']:.3f} ({m['auc_low']:.3f} to {m['auc_high']:.3f})",
            "pairs right": f"{m['pairs_right']} of {m['pairs']}",
            "outliers right": f"{m['outliers_right']} of {m['outliers']}",
            "epsilon at least": f"{max(m['pairs_epsilon'], m['outliers_epsilon']):.2f}",
            "copying, p": f"{m['copying_p_value']:.2g}",
        }
    return pd.DataFrame(rows).T


def load_audit(results_dir: Path) -> dict[str, Any]:
    """The saved outcome of the last full audit."""
    return json.loads((results_dir / AUDIT_FILE).read_text())


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when every fault was caught and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m companion.studies.privacy_audit")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; saves nothing")
    quick = parser.parse_args(arguments).quick
    outcome = run_audit(quick=quick)
    wrong = failures(outcome)
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        for table in (
            *(mechanism_table, fault_table, release_fault_table),
            *(finding_table, membership_table),
        ):
            print(table(outcome).to_string(), end="\n\n")
    print("\n".join(wrong) if wrong else "every planted fault was caught, and nothing else")
    if not quick:
        target = project_root() / "results" / AUDIT_FILE
        write_whole(target, json.dumps(outcome, indent=2, allow_nan=False) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
