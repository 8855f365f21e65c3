"""The rule behind verdicts: false alarms are rare, pairing finds what seeds hide, Holm by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from companion.book.effects import (
    LEVEL,
    Comparison,
    decided,
    differences,
    effect,
    effects,
    family_note,
    holm,
    mean_interval,
)
from companion.book.measures import FRECHET, G2R, RECALL

PAIR = Comparison("mnist", "whole", "part", 10.0)


def runs(**arms: list[float]) -> pd.DataFrame:
    """One run per value; the seed is its place. NaN: no such run."""
    rows = [
        {"method": name, "seed": seed, "g2r_cnn": value, "frechet_distance": value, "recall": value}
        for name, values in arms.items()
        for seed, value in enumerate(values)
        if value == value
    ]
    return pd.DataFrame(rows).assign(dataset="mnist", target_epsilon=10.0, profile="quick")


def test_null_effects_rarely_get_a_verdict_and_the_old_rule_gave_one_in_six() -> None:
    """Families of twelve comparisons over three seeds; what arms share cancels in the pairs."""
    rng = np.random.default_rng(0)
    families, size, seeds = 300, 12, 3
    false, old = 0, 0
    for _ in range(families):
        change = rng.normal(size=(size, seeds)) - rng.normal(size=(size, seeds))
        family = decided([effect(PAIR, G2R, pd.Series(row)) for row in change])
        false += any(one.verdict != "undecided" for one in family)
        free = rng.normal(size=(2, size, seeds))  # what the old rule took for granted: unpaired
        deviation = np.hypot(*free.std(axis=2, ddof=1))
        old += int((np.abs(np.subtract(*free.mean(axis=2))) > deviation).sum())
    assert false / families < LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / families)
    assert old / (families * size) == pytest.approx(0.158, abs=0.02)


def test_pairing_finds_a_small_shift_that_the_seeds_hide() -> None:
    common = [70.0, 80.0, 90.0, 75.0]
    whole = [x + d for x, d in zip(common, (1.0, 1.1, 0.9, 1.05), strict=True)]
    (one,) = effects(runs(whole=whole, part=common), [PAIR], [G2R])
    assert one.verdict == "better" and one.n == 4
    assert one.low > 0.8 and one.high < 1.2
    alone, _, _ = mean_interval(whole)
    assert abs(alone - np.mean(common)) < 0.2 * np.std(common)  # unpaired: lost in the spread
    (distance,) = effects(runs(whole=whole, part=common), [PAIR], [FRECHET])
    assert distance.verdict == "worse"  # less is better


def test_only_common_seeds_are_paired_and_one_decides_nothing() -> None:
    table = runs(whole=[1.0, 5.0, math.nan, 9.0], part=[2.0, 4.5, 7.0])
    assert differences(table, PAIR, "g2r_cnn").tolist() == [-1.0, 0.5]
    (two,) = effects(table, [PAIR], [G2R])
    assert two.n == 2 and two.mean == -0.25 and two.low < -0.25 < two.high
    (one,) = effects(runs(whole=[9.0], part=[1.0, 2.0]), [PAIR], [G2R])
    assert (one.n, one.mean, one.verdict) == (1, 8.0, "undecided")
    assert math.isnan(one.low) and math.isnan(one.p_holm) and one.text() == "+8.0"
    assert effects(runs(whole=[9.0], part=[math.nan, 2.0]), [PAIR], [G2R]) == []


def test_equal_differences_have_no_interval() -> None:
    (one,) = effects(runs(whole=[1.1, 2.1], part=[1.0, 2.0]), [PAIR], [G2R])
    assert one.mean == pytest.approx(0.1) and math.isnan(one.low)
    assert one.verdict == "undecided"


def test_interval_by_hand() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0])  # s = 1, t(0.975, 2) = 4.3027
    assert mean == 2.0
    assert high - mean == mean - low == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)


def test_holm_by_hand() -> None:
    # 4 * 0.01, 3 * 0.013 raised to what came before, 2 * 0.03, 1 * 0.04 raised
    assert holm([0.03, 0.01, 0.04, 0.013]) == pytest.approx([0.06, 0.04, 0.06, 0.04])
    assert holm([0.9, 0.6]) == [1.0, 1.0] and holm([]) == []


def test_the_family_decides_and_says_how_large_it_is() -> None:
    arms = {"part": [1.0, 2.0, 3.0], "whole": [2.0, 3.1, 3.9]}
    (alone,) = effects(runs(**arms), [PAIR], [G2R])
    assert alone.verdict == "better" and alone.p_holm == alone.p
    among = decided([alone] * 20)
    assert among[0].verdict == "undecided" and among[0].p == alone.p
    single = effects(runs(whole=[9.0], part=[1.0]), [PAIR], [G2R])
    assert "for 20 comparisons" in family_note([*among, *single])
    assert "(n = 1 to 3)" in family_note([*among, *single])


def test_text_has_no_negative_zero() -> None:
    (one,) = effects(runs(whole=[0.001, -0.002], part=[0.0, 0.0]), [PAIR], [RECALL])
    assert one.text() == "+0.00 (-0.02 to +0.02)"
