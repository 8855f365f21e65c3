"""Means over seeds, and the effect of each part: tables that compare settings rather than runs.

Verdicts follow the rule of `effects`; each table is a family of its own and says how large it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from companion.book.effects import Comparison, Effect, effects, family_note
from companion.book.measures import FRECHET, G2R, MEASURES, RECALL, SPREAD
from companion.book.tables import MISSING, runs_frame, spent_text
from dpgen_core.checks import check_choice
from dpgen_core.config.presets import WHOLE
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import Record

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
    names = [measure.column for measure in MEASURES]
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
        spent = [spent_text(row[f"epsilon_{name}"]) for name in ("rdp", "pld")]
        rows.append(
            {
                "epsilon (RDP / PLD)": " / ".join(dict.fromkeys(spent)),  # in words once
                "method": row["method"],
                **{m.title: cell(row, m.column, m.digits) for m in MEASURES},
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
        The base's row first, then one row per switch: mean ± std, and the change against the base
        with its 95 % interval and verdict; `captioned` shows the rule.
    """
    check_choice("dataset", dataset, DATASETS)
    table = settings(records)
    table = table[(table["dataset"] == dataset) & (table["target_epsilon"] == epsilon)]
    whole = table[table["method"] == base]
    if whole.empty:
        return indexed([])
    base_row: pd.Series = whole.iloc[0]
    chosen = (G2R, FRECHET, RECALL, SPREAD)
    rows = [{"method": base} | {m.title: cell(base_row, m.column, m.digits) for m in chosen}]
    switched = table[table["method"].str.startswith(base + "/")]
    pairs = [Comparison(dataset, name, base, epsilon) for name in switched["method"]]
    family = effects(runs_frame(records), pairs, chosen)
    found = {(effect.method, effect.measure): effect for effect in family}
    for _, row in switched.iterrows():
        cells = {"method": row["method"].removeprefix(base + "/")}
        for measure in chosen:
            effect = found.get((row["method"], measure))
            change = f"; {judged(effect)}" if effect else ""
            cells[measure.title] = cell(row, measure.column, measure.digits) + change
        rows.append(cells)
    return noted(indexed(rows), family)


def judged(effect: Effect) -> str:
    """An effect with its interval and verdict, as ``+1.2 (+0.3 to +2.1), better``."""
    return f"{effect.text()}, {effect.verdict}"


def noted(table: pd.DataFrame, family: Sequence[Effect]) -> pd.DataFrame:
    """The table with the rule of its verdicts, which `captioned` shows."""
    table.attrs["note"] = family_note(family)
    return table


def captioned(table: pd.DataFrame) -> Styler:
    """The table with its note as a caption, for a notebook."""
    style = table.reset_index().style.hide().set_table_attributes('class="dataframe"')
    return style.set_caption(table.attrs.get("note", "No record is committed yet."))


def indexed(rows: Sequence[Mapping[str, object]], index: str = "method") -> pd.DataFrame:
    """A table of the rows with the column `index` as its index; there may be no rows."""
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else [index]).set_index(index)


def cell(row: pd.Series, name: str, digits: int) -> str:
    """Mean of a measure and, where there are seeds, "± std", as text."""
    mean, std = float(row[name]), float(row[f"{name}_std"])
    if mean != mean:
        return MISSING
    return f"{mean:.{digits}f}" + ("" if std != std else f" ± {std:.{digits}f}")
