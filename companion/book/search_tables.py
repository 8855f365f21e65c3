"""Tables and a figure of the search for settings (``results/tuning.csv``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from companion.book.figures import COLORS
from companion.book.tables import DATASET_TITLES
from companion.studies.search_space import (
    COLOR_STEPS,
    MOMENTS_TRIALS,
    NEXT_TO_NO_NOISE,
    SCAN_STEPS,
)
from companion.studies.settings_search import TUNING_FILE
from dpgen_core.config.presets import MATCHED
from dpgen_core.records.sheets import new_figure

_MOMENTS_COLUMNS = ["method", "epsilon", "overrides", "g2r", "frechet_distance", "recall"]


def tuning_table(results: Path) -> pd.DataFrame:
    """The committed trials, best g2r first within a method and budget.

    Args:
        results: the folder that holds `TUNING_FILE`.
    """
    table = pd.read_csv(results / TUNING_FILE)
    table["overrides"] = [_readable(text) for text in table["overrides"]]
    table = table.sort_values(["epsilon", "method", "g2r"], ascending=[False, True, False])
    return table.rename(columns={"overrides": "settings changed"}).set_index("method")


def noise_table(results: Path) -> pd.DataFrame:
    """What could be gained without noise: g2r in percent at epsilon 10 and next to no noise.

    A setting appears when it was tried both ways, or without noise alone.

    Args:
        results: the folder that holds `TUNING_FILE`.
    """
    table = pd.read_csv(results / TUNING_FILE)
    key = ["method", "overrides"]
    free = table[table["epsilon"] > NEXT_TO_NO_NOISE].set_index(key)["g2r"]
    noisy = table[table["epsilon"] == 10.0].set_index(key)["g2r"].reindex(free.index)
    both = pd.DataFrame({"epsilon 10 (%)": 100 * noisy, "next to no noise (%)": 100 * free})
    both["gain"] = both["next to no noise (%)"] - both["epsilon 10 (%)"]
    both = both.round(1).reset_index()
    both["overrides"] = [_readable(text) for text in both["overrides"]]
    return both.rename(columns={"overrides": "settings changed"}).set_index("method")


def seeds_table(results: Path, setting: str) -> pd.DataFrame:
    """Trials that changed one setting alone, by budget: mean and standard deviation over seeds.

    Args:
        results: the folder that holds `TUNING_FILE`.
        setting: a field of `config.ExperimentConfig`.
    """
    table = pd.read_csv(results / TUNING_FILE)
    changed = table["overrides"].map(json.loads)
    table = table[[set(c) == {setting, "seed"} for c in changed]]
    table[setting] = [changed[row][setting] for row in table.index]
    return _over_seeds(table, ["method", "epsilon", setting])


def color_table(results: Path) -> pd.DataFrame:
    """A prior for photographs, setting by setting: mean and std over seeds, by budget.

    Args:
        results: the folder that holds `TUNING_FILE`.
    """
    rows, steps = _on(results, "celeba")
    names = {_key(step): _added(place) for place, step in enumerate(COLOR_STEPS)}
    return _by_step(rows, steps, names, "setting added")


def scans_table(results: Path) -> pd.DataFrame:
    """Priors for gray scans, against that for drawings: mean and std over seeds, by budget.

    Args:
        results: the folder that holds `TUNING_FILE`.
    """
    rows, steps = _on(results, "pneumoniamnist")
    drawings = rows["method"] == "mixture"
    names = {_key(step): _readable(_key(step)) for step in SCAN_STEPS}
    steps[drawings] = "mixture"
    return _by_step(rows, steps, {"mixture": "`mixture`, for drawings", **names}, "prior")


def moments_table(results: Path) -> pd.DataFrame:
    """The trials of the reconstruction loss in the form `moments`: one seed each, by data set.

    Args:
        results: the folder that holds `TUNING_FILE`.
    """
    table = pd.read_csv(results / TUNING_FILE)
    rows = {tuple(row[:3]): row[3:] for row in table[_MOMENTS_COLUMNS].to_numpy()}
    found = []
    for method, epsilon, overrides in MOMENTS_TRIALS:
        judged = rows.get((method, epsilon, _key(overrides)))
        if judged is None:
            continue
        changed = dict(overrides)
        about = {"data set": DATASET_TITLES[changed.pop("dataset")], "method": method}
        about["settings changed"] = _readable(_key(changed))
        g2r, distance, recall = judged
        shown = {"g2r (%)": 100 * g2r, "Frechet distance": distance, "recall (%)": 100 * recall}
        found.append(about | {name: f"{value:.1f}" for name, value in shown.items()})
    return pd.DataFrame(found).set_index("data set") if found else pd.DataFrame()


def _on(results: Path, dataset: str) -> tuple[pd.DataFrame, pd.Series]:
    """The trials on a data set, and as text what each changed."""
    table = pd.read_csv(results / TUNING_FILE)
    changed = table["overrides"].map(json.loads)
    rows = table[[c.get("dataset") == dataset for c in changed]].copy()
    steps = [
        _key({n: v for n, v in c.items() if n not in ("dataset", "seed")})
        for c in changed[rows.index]
    ]
    return rows, pd.Series(steps, index=rows.index, dtype=object)


def _key(step: Mapping[str, Any]) -> str:
    return json.dumps(dict(step), sort_keys=True)


def _by_step(
    rows: pd.DataFrame, steps: pd.Series, names: Mapping[str, str], column: str
) -> pd.DataFrame:
    """A row for each budget and step, in the order of `names`, which says what a step is called."""
    places = list(names)
    numbered = rows.assign(step=[places.index(step) for step in steps])
    found = _over_seeds(numbered, ["epsilon", "step"]).reset_index()
    found.insert(1, column, [names[places[step]] for step in found.pop("step")])
    return found.set_index("epsilon").sort_index(ascending=False, kind="stable")


def compute_curve(results: Path, *, floor: float) -> Figure:
    """g2r of every trial of `efsgd/with-matched`, the preset of before, against its minutes.

    Frames, appearance noise, and next to no privacy noise have colors of their own.

    Args:
        results: the folder that holds `TUNING_FILE`.
        floor: the accuracy asked for, in percent.
    """
    figure = new_figure(6.2, 4.2)
    axis = figure.subplots()
    for color, (label, rows) in zip(COLORS, _trials(results).items(), strict=False):
        axis.plot(rows["minutes"], 100 * rows["g2r"], "o", color=color, label=label)
    axis.axhline(floor, color="gray", lw=1, ls="--", label="asked for")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.set(xlabel="minutes of one core (log scale)", ylabel="g2r, held-out records (%)")
    figure.legend(frameon=False, loc="outside upper center", ncols=2, fontsize=9)
    return figure


def compute_alt(results: Path, *, floor: float) -> str:
    """What is seen in `compute_curve`: how many trials of each kind lie above the line."""
    seen = [
        f"{label}: {(100 * rows['g2r'] >= floor).sum()} of {len(rows)}"
        for label, rows in _trials(results).items()
        if len(rows)
    ]
    return f"Trials by time and accuracy. On or above the dashed line: {'; '.join(seen)}."


def _trials(results: Path) -> dict[str, pd.DataFrame]:
    """The trials of `efsgd/with-matched` by what was changed."""
    table = pd.read_csv(results / TUNING_FILE)
    table = table[table["method"] == MATCHED]
    changed = table["overrides"].map(json.loads)
    alike = changed.map(lambda fields: "dataset" not in fields)  # what is asked for is of MNIST
    table, changed = table[alike], changed[alike]
    framed = changed.map(lambda fields: fields.get("rounds_frame", False)).astype(bool)
    varied = changed.map(lambda fields: fields.get("appearance_noise", False)).astype(bool)
    free = table["epsilon"] > NEXT_TO_NO_NOISE
    return {
        "epsilon 10": table[~free & ~varied & ~framed],
        "epsilon 10, with frames": table[~free & framed],
        "epsilon 10, with appearance noise": table[~free & varied],
        "next to no privacy noise": table[free],
    }


def _added(step: int) -> str:
    """What this entry of `COLOR_STEPS` adds to the one before."""
    before = COLOR_STEPS[step - 1] if step else {}
    added = {n: v for n, v in COLOR_STEPS[step].items() if n not in before}
    return _readable(json.dumps(added, sort_keys=True))


def _over_seeds(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Accuracy, distance and recall of each group of trials, as mean and standard deviation."""
    columns = {"g2r": "g2r (%)", "frechet_distance": "Frechet distance", "recall": "recall (%)"}
    percent = table.assign(g2r=100 * table["g2r"], recall=100 * table["recall"])
    groups = percent.rename(columns=columns).groupby(keys)[list(columns.values())]

    def text(seeds: pd.Series) -> str:
        return f"{seeds.mean():.1f} ± {seeds.std():.1f}"

    return groups.agg(text)


def _readable(text: str) -> str:
    changed = json.loads(text)
    words = [
        f"{name}={value if isinstance(value, str | bool) else f'{value:g}'}"
        for name, value in changed.items()
    ]
    return ", ".join(words) or "the preset"
