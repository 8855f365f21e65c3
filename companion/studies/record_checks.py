"""What a record says about itself, derived again: epsilon from the ledger, noise from the budget.

Nothing is run and no data are read; it takes seconds. Each `Check` sets a committed figure beside
the one that was computed here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from dpgen_core.accounting.events import BudgetExceeded, Event, SampledGaussianEvent
from dpgen_core.accounting.ledger import Ledger
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.budget import calibrated, planned_events
from dpgen_core.records.record import Record
from dpgen_core.records.statement import STATEMENT_FILE, privacy_statement

Shown = float | int | str
EXACT = 1e-6  # relative: the accountants give the same digits everywhere but the last few
_WRITTEN = 1e-5  # relative: history.csv holds six digits
_FACTS = (
    *("relation", "accountant", "delta", "num_records", "num_shards", "sampling_rate"),
    *("max_grad_norm", "noise_multiplier", "prior_noise_multiplier", "noise_source"),
)


@dataclass(frozen=True)
class Check:
    """One figure, committed and computed here."""

    what: str  #: its name
    committed: Shown  #: as the record has it
    yours: Shown  #: as computed here
    allowed: float = 0.0  #: largest difference that still agrees

    @property
    def agrees(self) -> bool:
        """Whether the two differ by no more than is allowed; texts must be equal."""
        if isinstance(self.committed, str) or isinstance(self.yours, str):
            return self.committed == self.yours
        return abs(self.yours - self.committed) <= self.allowed


def ledger_checks(record: Record) -> list[Check]:
    """Whether ledger, configuration, calibration, history and statement tell the same story.

    Args:
        record: any whole record; its data need not be at hand.
    """
    try:
        ledger = Ledger.from_dict(record.privacy["ledger"])
    except (InvalidArgument, BudgetExceeded) as error:
        return [Check("ledger", "as in privacy.json", f"refused: {error}")]
    return [
        *_epsilon_checks(record, ledger),
        *_calibration_checks(record),
        *_charge_checks(record, ledger),
        *_paper_checks(record),
    ]


def _epsilon_checks(record: Record, ledger: Ledger) -> Iterator[Check]:
    said = record.privacy["epsilon"]
    for name in ("rdp", "pld"):
        yours = ledger.epsilon(name)  # type: ignore[arg-type]
        yield _close(f"epsilon ({name.upper()})", float(said[name]), yours, EXACT)
    if "epsilon_rdp" in record.history and not record.history.empty:
        last = float(record.history["epsilon_rdp"].iloc[-1])
        yield _close("epsilon (RDP), end of history.csv", last, ledger.epsilon("rdp"), _WRITTEN)


def _calibration_checks(record: Record) -> Iterator[Check]:
    """The noise that the budget asks for, found again from the settings."""
    privacy, again = record.config.privacy, calibrated(record.config).privacy
    names = {"noise_multiplier": "noise multiplier", "prior_noise_multiplier": "prior's noise"}
    for name, title in names.items():
        committed = float(getattr(privacy, name))
        if committed:
            yield _close(f"{title}, calibrated", committed, float(getattr(again, name)), EXACT)


def _charge_checks(record: Record, ledger: Ledger) -> Iterator[Check]:
    """Every planned release was charged, as planned, and nothing else.

    A run that was cut off may have been charged for rounds that it could not finish; then the
    charges lie between the rounds done and the rounds planned.
    """
    planned = {_kind(event): event.count for event in planned_events(record.config)}
    charged: dict[str, int] = {}
    for event in ledger.events:
        charged[_kind(event)] = charged.get(_kind(event), 0) + event.count
    for event in planned_events(record.config):
        kind, count = _kind(event), charged.pop(_kind(event), 0)
        done = record.privacy["rounds"]
        partial = isinstance(event, SampledGaussianEvent) and done < count < planned[kind]
        yield Check(f"charges, {kind}", count, count if partial else planned[kind])
    for kind, count in charged.items():
        yield Check(f"charges, {kind}", count, 0)


def _paper_checks(record: Record) -> Iterator[Check]:
    """The files agree with each other: names, settings written twice, the statement."""
    privacy, config = record.privacy, record.config
    changed = [n for n in _FACTS if n in privacy and privacy[n] != getattr(config.privacy, n)]
    text = ", ".join(changed) or "same"
    yield Check("settings in config.json and privacy.json", "same", text)
    name = config.record_name()
    text = "same" if name == record.path.name else name
    yield Check("name, which holds a hash of the settings", "same", text)
    path = record.path / STATEMENT_FILE
    if path.exists():
        text = privacy_statement(config=config, run=record.run, privacy=privacy)
        same = text == path.read_text()
        yield Check(STATEMENT_FILE, "same", "same" if same else "other text")


def _kind(event: Event) -> str:
    rate = f", q = {event.sampling_rate:g}" if isinstance(event, SampledGaussianEvent) else ""
    return f"{event.name}: noise {event.noise_multiplier:.4f}{rate}"


def _close(what: str, committed: float, yours: float, relative: float) -> Check:
    size = abs(committed) if math.isfinite(committed) else 0.0
    return Check(what, committed, yours, relative * size)
