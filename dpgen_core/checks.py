"""Argument checks whose messages say what to do next.

Public functions of `dpgen_core` validate with these helpers, so that all errors read alike: the
argument, the value received, the rule it broke, and the likely fix.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real


class InvalidArgument(ValueError):
    """A value that breaks a stated rule. The message names argument, value, rule and fix."""


def require(condition: bool, argument: str, value: object, rule: str, fix: str) -> None:
    """Raise `InvalidArgument` unless `condition`; `rule` follows "it must be", and `fix` "Try".

    >>> require(False, "rounds", -3, "at least 1", "rounds=300")
    Traceback (most recent call last):
    ...
    dpgen_core.checks.InvalidArgument: rounds: received -3, but it must be at least 1. Try ...
    """
    if not condition:
        raise InvalidArgument(f"{argument}: received {value!r}, but it must be {rule}. Try {fix}.")


def check_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Require `value` to be one of `choices`; the message lists them all."""
    allowed = list(choices)
    rule, fix = f"one of {', '.join(allowed)}", f"{argument}={allowed[0]!r}"
    require(isinstance(value, str) and value in allowed, argument, value, rule, fix)


def check_real(
    argument: str,
    value: object,
    *,
    low: float,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
    fix: str,
) -> None:
    """Require a finite real number from `low` to `high`; booleans, text and NaN are refused.

    `low_open` and `high_open` exclude the ends of the interval themselves.
    """
    rule = f"a finite number {'>' if low_open else '>='} {low:g}"
    if math.isfinite(high):
        rule += f" and {'<' if high_open else '<='} {high:g}"
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if good:
        number = float(value)  # type: ignore[arg-type]
        good = (number > low if low_open else number >= low) and (
            number < high if high_open else number <= high
        )
    require(good, argument, value, rule, fix)


def check_int(argument: str, value: object, *, low: int, high: int | None = None, fix: str) -> None:
    """Require a whole number from `low` to `high`; booleans and text are refused."""
    rule = f"a whole number >= {low}" + ("" if high is None else f" and <= {high}")
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    good = whole and low <= int(value) and (high is None or int(value) <= high)  # type: ignore
    require(good, argument, value, rule, fix)
