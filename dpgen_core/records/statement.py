"""The privacy statement of a record, in words that can be filed: ``statement.md`` in its folder.

Everything in it is read from ``privacy.json`` and ``config.json``; the epsilon(delta) curve is computed
anew from the ledger, so that the statement and the ledger cannot drift apart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dpgen_core.accounting import Ledger, bound_text, epsilon_of_events, total_variation
from dpgen_core.config.budget import LEARNERS
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.records.record import Record

FILE = "statement.md"
OUTSIDE_GUARANTEE = (
    "metrics.json and diagnostics.csv are computed from private records or private state",
    "choosing settings by looking at results on the same records spends budget nobody charged",
    "several records of one person are protected one by one, not together",
    "other releases from the same records, such as a second run, add to what this one reveals",
)
DELTAS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def privacy_facts(
    config: ExperimentConfig,
    ledger: Ledger,
    spent: Mapping[str, float],
    *,
    rounds: int,
    restarts: int,
) -> dict[str, Any]:
    """What a run released and what it cost: the content of ``privacy.json``.

    Args:
        config: of the run.
        ledger: what was charged.
        spent: epsilon by accountant.
        rounds: rounds done.
        restarts: how often the run was resumed.
    """
    releasable = config.privacy.noise_source == "secret"
    return {
        "mechanism": _mechanism(config),
        "unit": "one image with its label",
        "relation": config.privacy.relation,
        "num_records": config.privacy.num_records,
        "delta": config.privacy.delta,
        "target_epsilon": config.privacy.epsilon,
        "epsilon": dict(spent),
        "accountant": config.privacy.accountant,
        "num_shards": config.privacy.num_shards,
        "sampling_rate": config.privacy.sampling_rate,
        "rounds": rounds,
        "planned_rounds": config.privacy.rounds,
        "max_grad_norm": config.privacy.max_grad_norm,
        "noise_multiplier": config.privacy.noise_multiplier,
        "prior_noise_multiplier": config.privacy.prior_noise_multiplier,
        "ledger": ledger.to_dict(),
        "restarts": restarts,
        "noise_source": config.privacy.noise_source,
        "releasable": releasable,
        "why_not_releasable": None
        if releasable
        else "the noise follows from the public seed, so it can be subtracted; fit for public data "
        "and reproduction only. Use noise_source='secret' for a private release.",
        "outside_the_guarantee": list(OUTSIDE_GUARANTEE),
    }


def epsilon_curve(
    privacy: Mapping[str, Any], deltas: Sequence[float] = DELTAS
) -> dict[float, float]:
    """Smallest proved epsilon at each delta, by the tighter of the two accountants.

    Args:
        privacy: a record's ``privacy.json``.
        deltas: each in (0, 1).
    """
    ledger = Ledger.from_dict(privacy["ledger"])
    relation = ledger.settings()["relation"]

    def at(delta: float) -> float:
        return min(
            epsilon_of_events(ledger.events, delta=delta, relation=relation, accountant="pld"),
            epsilon_of_events(ledger.events, delta=delta, relation=relation, accountant="rdp"),
        )

    return {delta: at(delta) for delta in deltas}


def privacy_statement(
    *, config: ExperimentConfig, run: Mapping[str, Any], privacy: Mapping[str, Any]
) -> str:
    """The statement as Markdown, one page.

    Args:
        config: of the run.
        run: how it was made, see `Record.run`.
        privacy: what was released, see `Record.privacy`.
    """
    epsilon, delta = privacy["epsilon"], privacy["delta"]
    lines = [
        f"# Privacy statement: {config.dataset}, {config.method}",
        "",
        "## In one sentence",
        "",
        f"Whoever sees the synthetic images, the generator and every intermediate release learns almost "
        f"the same whether or not any single record was the one it is: the release is "
        f"({bound_text(epsilon['pld'])}, {delta:g})-differentially private "
        f"({bound_text(epsilon['rdp'])} by the looser Renyi accounting).",
        "",
        *_release_notice(privacy),
        "## What is protected, and how",
        "",
        f"* **Unit of privacy**: {privacy['unit']}.",
        f"* **Neighboring relation**: {privacy['relation']}. Two data sets are neighbors if one record "
        "is exchanged for another; the number of records is public.",
        f"* **Number of records N**: {privacy['num_records']}.",
        f"* **Mechanism**: {privacy['mechanism']}.",
        *_round_lines(privacy, config),
        f"* **Noise**: {_noise(privacy['noise_source'])}.",
        f"* **Run**: {config.record_name()}; code at commit {run.get('commit') or 'unknown'}.",
        "",
        "Everything released, as charged to the ledger before it was used:",
        "",
        "| release | noise multiplier | sampling rate | times |",
        "|---|---|---|---|",
        *(
            f"| {event['name']} | {event['noise_multiplier']:.4f} "
            f"| {event.get('sampling_rate', 1):g} | {event['count']} |"
            for event in privacy["ledger"]["events"]
        ),
        "",
        "## Epsilon at other deltas",
        "",
        "| delta | epsilon |",
        "|---|---|",
        *(f"| {d:g} | {bound_text(value)} |" for d, value in epsilon_curve(privacy).items()),
        "",
        "## What it means",
        "",
        "Suppose somebody knows every record but one, holds two candidates for that one to be equally "
        f"likely, and sees all that was released. They pick the right one with probability "
        f"{bound_text((1 + _advantage(privacy)) / 2)} at most; a coin has 0.5. Whether the record was "
        "there at all, or what it showed, are questions of this kind.",
        "",
        "## Assumptions",
        "",
        "* Every image is one record; nobody outside learns which shards joined a round.",
        "* Clip radii, frequency basis and settings do not depend on these records. (The settings of this "
        "repository were tuned on MNIST: for MNIST itself that is spent budget which nobody charges.)",
        "* The hidden coins and noise cannot be told from true randomness (SHAKE-256 under a key that "
        "nobody else holds), and floating-point arithmetic is close to that of real numbers.",
        "* The code does what it says; its tests and the audit are part of the repository.",
        "",
        "## What it does not cover",
        "",
        *(f"* {line[0].upper()}{line[1:]}." for line in privacy["outside_the_guarantee"]),
        "* Facts about everybody: what the data teach about all people alike is not hidden, and is meant "
        "to be learned.",
        "",
    ]
    return "\n".join(lines)


def write_statement(record: Record) -> Path:
    """Write the statement into the record's folder, all at once."""
    target = record.path / FILE
    partial = target.with_suffix(".partial")
    partial.write_text(
        privacy_statement(config=record.config, run=record.run, privacy=record.privacy)
    )
    os.replace(partial, target)
    return target


def _release_notice(privacy: Mapping[str, Any]) -> list[str]:
    if privacy["releasable"]:
        return []
    reason = privacy["why_not_releasable"]
    return [f"**Not fit for a release of private data**: {reason}", ""]


def _round_lines(privacy: Mapping[str, Any], config: ExperimentConfig) -> list[str]:
    if not privacy["rounds"]:
        return []
    joins = LEARNERS[config.privacy.learner].sentence(privacy)
    return [
        f"* **Rounds**: {privacy['rounds']}, in each of which {joins} a vector of norm at most "
        f"{privacy['max_grad_norm']:g}; noise of standard deviation "
        f"{privacy['noise_multiplier']:.4f} times that is added to the sum."
    ]


def _noise(source: str) -> str:
    if source == "secret":
        return "from a 256-bit key of the operating system, deleted after the run"
    return "from the public seed, for reproduction only"


def _advantage(privacy: Mapping[str, Any]) -> float:
    ledger = Ledger.from_dict(privacy["ledger"])
    return total_variation(ledger.events, relation=ledger.settings()["relation"])


def _mechanism(config: ExperimentConfig) -> str:
    """What was released, in words."""
    prior = (
        "class statistics in the frequency domain, with Gaussian noise"
        if config.prior.modes
        else ""
    )
    rounds = LEARNERS[config.privacy.learner].mechanism
    return "; ".join(part for part in (prior, rounds if config.privacy.rounds else "") if part)
