"""The rule behind every verdict: paired differences, t intervals, and Holm's correction.

Two settings are compared seed by seed: runs with the same seed share the data's split, the first
weights and the order of the draws, so what a seed does to both cancels in the difference. The mean
of the differences has a two-sided interval by Student's t. A table or figure that makes many
comparisons is one family: its p values are adjusted together by Holm's step-down procedure (Holm,
*A simple sequentially rejective multiple test procedure*, 1979), which bounds the chance of even
one false verdict in the family by `LEVEL`, however the comparisons depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd
from scipy import stats

from companion.book.measures import Measure

LEVEL = 0.05  # chance of a false verdict, and one minus the coverage of the intervals
UNDECIDED = "undecided"


class Comparison(NamedTuple):
    """A method against another of the same data set and target budget."""

    dataset: str
    method: str
    base: str
    epsilon: float


@dataclass(frozen=True)
class Effect:
    """What `method` changes against `base`, in the units of the measure.

    Attributes:
        dataset: a key of `DATASETS`.
        method: the setting of interest.
        base: what it is compared with.
        epsilon: target budget of both.
        measure: what is compared.
        n: seeds that both have.
        mean: mean over them of `method` minus `base`; NaN without a common seed.
        low: lower end of the 95 % interval; NaN where the spread cannot be estimated.
        high: its upper end.
        p: two-sided p value of one comparison; NaN as `low`.
        p_holm: the same, adjusted for the family.
        verdict: "better", "worse" or "undecided", by `p_holm`.
    """

    dataset: str
    method: str
    base: str
    epsilon: float
    measure: Measure
    n: int
    mean: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan
    verdict: str = UNDECIDED

    def text(self) -> str:
        """Mean and interval, as ``+1.2 (-0.3 to +2.7)``."""
        mean, low, high = (signed(x, self.measure.digits) for x in (self.mean, self.low, self.high))
        return mean if math.isnan(self.low) else f"{mean} ({low} to {high})"


def effects(
    runs: pd.DataFrame,
    comparisons: Sequence[Comparison],
    measures: Sequence[Measure],
    *,
    planned: int = 2,
) -> list[Effect]:
    """One family: each comparison by each measure, in that order, adjusted together.

    Args:
        runs: from `tables.runs_frame`.
        comparisons: those for which both settings have a run; others are left out.
        measures: a comparison without a common seed that has the measure is left out.
        planned: seeds of a study that is still being run. A comparison that has fewer is shown and not
            tested: whoever looks after each seed, and stops when it suits, finds effects that are none.
    """
    found = [
        effect(pair, measure, differences(runs, pair, measure.column))
        for pair in comparisons
        for measure in measures
    ]
    tested = [one if one.n >= planned else replace(one, p=math.nan) for one in found]
    return decided([one for one in tested if one.n])


def effect(pair: Comparison, measure: Measure, change: pd.Series) -> Effect:
    """One effect from its differences per seed, not yet adjusted for a family."""
    mean, low, high = mean_interval(change.tolist())
    p = math.nan
    if not math.isnan(low):
        p = float(2 * stats.t.sf(abs(mean) / _error(change), len(change) - 1))
    return Effect(*pair, measure, len(change), mean, low, high, p)


def differences(runs: pd.DataFrame, pair: Comparison, column: str) -> pd.Series:
    """Method minus base for each profile and seed that both have, without missing values."""
    same = runs[(runs["dataset"] == pair.dataset) & (runs["target_epsilon"] == pair.epsilon)]
    by_seed = same.set_index(["profile", "seed"])
    one, other = (by_seed.loc[by_seed["method"] == name, column] for name in pair[1:3])
    return (one - other).dropna()


def decided(family: Sequence[Effect]) -> list[Effect]:
    """The effects with `p_holm` and verdict; those without a p value count for no comparison."""
    adjusted = iter(holm([one.p for one in family if not math.isnan(one.p)]))
    out = []
    for one in family:
        p_holm = math.nan if math.isnan(one.p) else next(adjusted)
        word = UNDECIDED
        if p_holm <= LEVEL:
            word = "better" if (one.mean > 0) == one.measure.more_is_better else "worse"
        out.append(replace(one, p_holm=p_holm, verdict=word))
    return out


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given: reject where one is at most the family's level."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def family_note(family: Sequence[Effect]) -> str:
    """How the verdicts of a family were reached: seeds and number of comparisons, one sentence."""
    tested = sum(not math.isnan(one.p) for one in family)
    seeds = sorted({one.n for one in family})
    if not seeds:
        return "No record is committed yet."
    over = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    if not tested:
        return f"Differences are paired by seed (n = {over}); none has enough seeds to be tested."
    return (
        f"Differences are paired by seed (n = {over}) with 95 % t intervals; a verdict holds after "
        f"Holm's correction for {tested} comparison{'' if tested == 1 else 's'}."
    )


def signed(number: float, digits: int) -> str:
    """The number with its sign; what rounds to zero is +0."""
    return f"{round(number, digits) + 0.0:+.{digits}f}"


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % t interval; NaN ends where the spread cannot be estimated.

    Two values or more are needed, and not all equal: from equal differences of figures that are
    rounded, as a share of test images is, nothing can be said about their spread.
    """
    data = pd.Series(values, dtype=float)
    mean = float(data.mean())
    if len(data) < 2 or float(data.std()) <= 1e-9 * max(1.0, float(data.abs().max())):
        return mean, math.nan, math.nan
    half = float(stats.t.isf(LEVEL / 2, len(data) - 1)) * _error(data)
    return mean, mean - half, mean + half


def _error(values: pd.Series) -> float:
    """Standard error of the mean."""
    return float(values.std()) / math.sqrt(len(values))
