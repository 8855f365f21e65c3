"""Means over seeds, and the effect of each part: tables that compare settings rather than runs.

A difference counts as decided when it is larger than its own standard deviation, estimated from
the seeds. Otherwise, and with fewer than two seeds, the table says "undecided".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from companion.book.tables import MISSING, runs_frame
from dpgen_core.accounting.ledger import bound_text
from dpgen_core.checks import check_choice
from dpgen_core.config.presets import WHOLE
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import Record

# raw column, title, decimals, whether more is better
MEASURES: tuple[tuple[str, str, int, bool], ...] = (
    ("g2r_cnn", "g2r CNN (%)", 1, True),
    ("g2r_mlp", "g2r MLP (%)", 1, True),
    ("r2g_cnn", "r2g CNN (%)", 1, True),
    ("frechet_distance", "Frechet distance", 1, False),
    ("inception_score", "inception score", 2, True),
    ("recall", "recall", 2, True),
    ("spread", "spread (real = 1)", 2, True),
)
_KEYS = ["dataset", "method", "target_epsilon"]


def settings(records: Sequence[Record]) -> pd.DataFrame:
    """One row per data set, method and budget: runs, and mean and std over seeds of each measure.

    Args:
        records: from `committed_records`.

    Returns:
        Columns of `_KEYS`, ``runs``, and for each measure ``NAME`` (mean) and ``NAME_std`` (ddof 1;
        NaN for one run), in the order of the book.
    """
    table = runs_frame(records)
    if table.empty:
        return pd.DataFrame(columns=[*_KEYS, "runs"])
    names = [name for name, *_ in MEASURES]
    groups = table.groupby(_KEYS, sort=False)[[*names, "epsilon_rdp", "epsilon_pld", "minutes"]]
    out = groups.mean().join(groups.std()[names].add_suffix("_std"))
    out["runs"] = groups.size()
    return out.reset_index()


def comparison(records: Sequence[Record], *, dataset: str) -> pd.DataFrame:
    """Whole methods of one data set, as text: mean and, where there are seeds, "± std".

    Args:
        records: from `committed_records`.
        dataset: a key of `DATASETS`.

    Raises:
        InvalidArgument: unknown data set.
    """
    check_choice("dataset", dataset, DATASETS)
    table = settings(records)
    table = table[(table["dataset"] == dataset) & table["method"].isin(list(WHOLE))]
    table = table.sort_values("target_epsilon", ascending=False, kind="stable")
    rows = []
    for _, row in table.iterrows():
        spent = [bound_text(row[f"epsilon_{name}"]) for name in ("rdp", "pld")]
        rows.append(
            {
                "epsilon (RDP / PLD)": " / ".join(spent),
                "method": row["method"],
                **{title: cell(row, name, digits) for name, title, digits, _ in MEASURES},
                "runs": str(int(row["runs"])),
            }
        )
    return indexed(rows)


def ablation(records: Sequence[Record], *, dataset: str, base: str, epsilon: float) -> pd.DataFrame:
    """The effect of switching one part of a method, as text, with a verdict per measure.

    Args:
        records: from `committed_records`.
        dataset: a key of `DATASETS`.
        base: the method all parts of which are on.
        epsilon: target budget.

    Returns:
        The base's row first, then one row per switch: mean, and the change with its verdict
        "better", "worse" or "undecided".
    """
    check_choice("dataset", dataset, DATASETS)
    table = settings(records)
    table = table[(table["dataset"] == dataset) & (table["target_epsilon"] == epsilon)]
    whole = table[table["method"] == base]
    if whole.empty:
        return indexed([])
    base_row: pd.Series = whole.iloc[0]
    chosen = [m for m in MEASURES if m[0] in ("g2r_cnn", "frechet_distance", "recall", "spread")]
    rows = [{"method": base} | {t: cell(base_row, name, digits) for name, t, digits, _ in chosen}]
    for _, row in table[table["method"].str.startswith(base + "/")].iterrows():
        cells = {"method": row["method"].removeprefix(base + "/")}
        for name, title, digits, more in chosen:
            change, word = verdict(row, base_row, name, more)
            cells[title] = f"{cell(row, name, digits)} ({change:+.{digits}f}, {word})"
        rows.append(cells)
    return indexed(rows)


def verdict(row: pd.Series, base: pd.Series, name: str, more_is_better: bool) -> tuple[float, str]:
    """Change of a measure against `base`, and whether the seeds decide it.

    Args:
        row: a row of `settings`.
        base: the row it is compared with.
        name: the measure's column.
        more_is_better: its direction.

    Returns:
        The difference of the means, and "better", "worse" or "undecided". The difference is held
        against the standard deviation between single runs, root of the sum of both variances, not
        against the standard error of the means: a part that matters shows in a single run.
    """
    change = float(row[name] - base[name])
    deviation = float(np.hypot(row[f"{name}_std"], base[f"{name}_std"]))
    if not abs(change) > deviation:  # NaN, with a single seed, is undecided too
        return change, "undecided"
    return change, "better" if (change > 0) == more_is_better else "worse"


def indexed(rows: Sequence[Mapping[str, object]], index: str = "method") -> pd.DataFrame:
    """A table of the rows with the column `index` as its index; there may be no rows."""
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else [index]).set_index(index)


def cell(row: pd.Series, name: str, digits: int) -> str:
    """Mean of a measure and, where there are seeds, "± std", as text."""
    mean, std = float(row[name]), float(row[f"{name}_std"])
    if mean != mean:
        return MISSING
    return f"{mean:.{digits}f}" + ("" if std != std else f" ± {std:.{digits}f}")
