"""The ledger: an append-only record of releases that refuses to overspend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from dpgen_core.accounting.calibration import most_fitting
from dpgen_core.accounting.events import (
    Accountant,
    BudgetExceeded,
    Event,
    GaussianEvent,
    SampledGaussianEvent,
    Setting,
    check_events,
    check_target,
)
from dpgen_core.accounting.rdp import Relation
from dpgen_core.checks import InvalidArgument, check_choice, require

_KINDS: dict[str, type[Event]] = {
    "gaussian": GaussianEvent,
    "sampled-gaussian": SampledGaussianEvent,
}


class Ledger:
    """Append-only record of releases, with an optional budget that no charge can pass.

    All figures are under `relation`, at `delta` in (0, 1) and for neighbors that differ in up to
    `group_size` records. `accountant` decides whether a charge fits the budget `target_epsilon` > 0;
    None records without a limit.

    >>> setting = dict(relation="replace-one", delta=1e-5, accountant="rdp")
    >>> ledger = Ledger(**setting, target_epsilon=1.0)
    >>> ledger.charge(GaussianEvent("counts", 10.0))
    >>> ledger.charge(GaussianEvent("sums", 1.0))
    Traceback (most recent call last):
    ...
    dpgen_core.accounting.events.BudgetExceeded: sums: with it epsilon would pass the budget ...
    >>> [event.name for event in ledger.events]
    ['counts']
    """

    def __init__(
        self,
        *,
        relation: Relation,
        delta: float,
        accountant: Accountant,
        target_epsilon: float | None = None,
        group_size: int = 1,
    ) -> None:
        self._setting = Setting(relation, delta, accountant, group_size)
        if target_epsilon is not None:
            check_target(target_epsilon)
        self._target = target_epsilon
        self._events: list[Event] = []
        self._allowed: dict[tuple[Any, ...], int] = {}  # (rest, kind) -> count within the budget

    @property
    def events(self) -> tuple[Event, ...]:
        """What was charged, in order; equal neighbors are merged."""
        return tuple(self._events)

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**asdict(self._setting), "target_epsilon": self._target}

    def charge(self, event: Event) -> None:
        """Record `event`, to be called before its release.

        Raises:
            BudgetExceeded: epsilon would pass the budget; the ledger is left unchanged.
        """
        check_events([event])
        merged = _merge([*self._events, event])
        if self._target is not None and not self._fits(merged, self._target):
            by = self._setting
            raise BudgetExceeded(
                f"{event.name}: with it epsilon would pass the budget of {self._target:g} at delta "
                f"{by.delta:g} ({by.relation}, {by.accountant}); {self.epsilon():.4f} is spent. "
                "Stop here, or plan fewer or noisier releases with calibrate_noise or max_rounds."
            )
        self._events = merged

    def _fits(self, events: list[Event], target: float) -> bool:
        if self._setting.accountant == "rdp":
            return self._setting.epsilon(events) <= target
        # A PLD takes up to seconds: find once how many such releases fit, then only count.
        rest, last = tuple(events[:-1]), events[-1]
        key = (rest, replace(last, count=1))
        if key not in self._allowed:
            self._allowed[key] = most_fitting(last, rest, target, self._setting)
        return last.count <= self._allowed[key]

    def epsilon(self, accountant: Accountant | None = None) -> float:
        """Epsilon spent so far, by `accountant` (default: the ledger's own)."""
        chosen = self._setting.accountant if accountant is None else accountant
        return replace(self._setting, accountant=chosen).epsilon(self._events)

    def to_dict(self) -> dict[str, Any]:
        """Settings and events as plain JSON types; `from_dict` reads them.

        A group size of 1 is left out, as it was before there were others.
        """
        names = {cls: kind for kind, cls in _KINDS.items()}
        rows = [{"kind": names[type(event)], **asdict(event)} for event in self._events]
        settings = self.settings()
        if self._setting.group_size == 1:
            del settings["group_size"]
        return {**settings, "events": rows}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Ledger:
        """Replay a `to_dict` record, charge by charge; a malformed one raises `InvalidArgument`."""
        wanted = {"relation", "delta", "accountant", "target_epsilon", "events"}
        good, rule = set(record) - {"group_size"} == wanted, f"exactly {sorted(wanted)}"
        require(good, "record", sorted(record), rule, "to_dict()")
        ledger = cls(**{key: value for key, value in record.items() if key != "events"})
        for row in record["events"]:
            check_choice("kind", row.get("kind"), _KINDS)
            try:
                event = _KINDS[row["kind"]](**{k: v for k, v in row.items() if k != "kind"})
            except TypeError as error:
                text = f"events: received {row!r}, but {error}. Try to_dict()."
                raise InvalidArgument(text) from None
            ledger.charge(event)
        return ledger


def bound_text(value: float, digits: int = 3) -> str:
    """An upper bound as text: rounded up, so that what is printed is a bound too.

    >>> bound_text(9.3141), bound_text(10.0, 2)
    ('9.315', '10.00')
    """
    exact = Decimal(repr(float(value)))
    if not exact.is_finite():
        return str(value)
    return str(exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING))


def _merge(events: Iterable[Event]) -> list[Event]:
    """Add up the counts of neighbors that are otherwise equal."""
    merged: list[Event] = []
    for event in events:
        if merged and replace(merged[-1], count=event.count) == event:
            merged[-1] = replace(event, count=merged[-1].count + event.count)
        else:
            merged.append(event)
    return merged
