"""What larger pictures cost: quality against the side in pixels, and what of a picture is left."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.book.figures import COLORS
from companion.studies.resolutions import METHODS, MODES, PLAIN, RADII, REPAIRS, means, usual_side
from dpgen_core.records.sheets import new_figure

SHORT = {"celeba": "CelebA", "glyphs": "Glyphs"}
TITLES = SHORT | {"celeba": "CelebA, middle squares"}
REPAIR_NAMES = {PLAIN: "fixed radii", RADII: "preset", MODES: "preset, more modes"}
_STYLES: dict[str, dict[str, Any]] = {
    repair: {"color": color, "marker": mark, "markersize": 4}
    for repair, color, mark in zip(REPAIRS, COLORS, "os^", strict=False)
}


def resolution_figure(found: Mapping[str, Any]) -> Figure:
    """A row for each data set: accuracy and recall by size, and what clip and basis leave.

    Args:
        found: from `load_resolutions`.
    """
    rows = _of_main_methods(found)
    names = [name for name in METHODS if (rows["dataset"] == name).any()]
    figure = new_figure(7.2, 0.8 + 2.3 * len(names))
    grid = figure.subplots(len(names), 3, squeeze=False)
    for (left, middle, right), name in zip(grid, names, strict=True):
        some = rows[rows["dataset"] == name]
        _by_size(left, some, "g2r_cnn")
        _by_size(middle, some, "recall")
        _what_is_left(right, some)
        real = some.groupby("image_size")["real_cnn"].mean()
        left.plot(real.index, 100 * real, color="black", linestyle="--", label="the records")
        for axes, label in ((left, "g2r (%)"), (middle, "recall (%)"), (right, "% that is left")):
            _finish(axes, f"{SHORT[name]}: {label}", sorted(some["image_size"].unique()))
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        *(list(handles.values()), list(handles)),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return figure


def resolution_alt(found: Mapping[str, Any]) -> str:
    """What is seen: accuracy at the usual and at the largest size, without and with the repair."""
    said = []
    for name, rows in _at_most_budget(found).groupby("dataset", sort=False):
        usual, large = usual_side(str(name)), int(rows["image_size"].max())
        said.append(
            f"{TITLES[str(name)]} from {_both(_row(rows, usual, PLAIN))} at {usual} pixels to "
            + " and ".join(
                f"{_both(row)} ({REPAIR_NAMES[repair]})"
                for repair in REPAIRS
                if (row := _row(rows, large, repair))
            )
            + f" at {large}"
        )
    return (
        f"Accuracy, with recall in brackets, against the side of the picture: {'; '.join(said)}. To the "
        "right, the clip leaves less of a code's length as the picture grows, and the basis less of its "
        "fine detail."
    )


def _both(row: Mapping[str, Any]) -> str:
    return f"{_percent(row['g2r_cnn'], 1)} [{_percent(row['recall'])}]"


def resolution_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """All releases, a row each: quality, noise, what is left of a picture, seconds and memory.

    Args:
        found: from `load_resolutions`.
    """
    rows = means(found)
    shares = ["g2r_cnn", "real_cnn", "precision", "recall", "pixel_noise"]
    shares += ["kept_of_codes", "kept_of_residuals", "detail"]
    rows[shares] *= 100
    rows["data"], rows["repair"] = rows["dataset"].map(TITLES), rows["repair"].map(REPAIR_NAMES)
    where = ["data", "method", "epsilon", "repair", "image_size"]
    columns = {
        "g2r_cnn": "g2r (%)",
        "real_cnn": "real images (%)",
        "frechet_distance": "Frechet distance",
        "frechet_floor": "of real images",
        "precision": "precision (%)",
        "recall": "recall (%)",
        "detail": "fine detail (% of real)",
        "kept_of_codes": "codes kept (%)",
        "kept_of_residuals": "residuals kept (%)",
        "pixel_noise": "noise per pixel (% of white)",
        "modes": "modes",
        "noise_multiplier": "noise multiplier",
        "training_seconds": "training (s of a core)",
        "judging_seconds": "judging (s of a core)",
        "training_peak_gigabytes": "memory (GB)",
        "n": "seeds",
    }
    table = rows.sort_values(["dataset", "method", "epsilon"], ascending=[True, True, False])
    table = table.set_index(where)[list(columns)].rename(columns=columns)
    digits = {"noise per pixel (% of white)": 2, "noise multiplier": 2, "memory (GB)": 2}
    table = table.round({name: digits.get(name, 1) for name in columns.values()})
    return table.astype({"modes": int, "seeds": int}).rename_axis(index={"image_size": "side"})


def resolution_text(found: Mapping[str, Any]) -> str:
    """A Markdown list: what breaks at the largest size, what repairs it, what the size costs."""
    lines = []
    for name, rows in _at_most_budget(found).groupby("dataset", sort=False):
        title, usual, large = (
            TITLES[str(name)],
            usual_side(str(name)),
            int(rows["image_size"].max()),
        )
        first, last = _row(rows, usual, PLAIN), _row(rows, large, PLAIN)
        lines.append(
            f"- {title}, `{first['method']}` at epsilon {first['epsilon']:g}, from {usual} to {large} "
            f"pixels (n = {last['n']}) with fixed radii: the clip leaves "
            f"{_percent(last['kept_of_codes'])} of a code's length in place of "
            f"{_percent(first['kept_of_codes'])}. It moves {_quality(first, last)}. "
            f"Real pictures teach {_percent(first['real_cnn'], 1)} at the one size and "
            f"{_percent(last['real_cnn'], 1)} at the other. Noise per pixel is "
            f"{_percent(last['pixel_noise'], 2)} of white in place of "
            f"{_percent(first['pixel_noise'], 2)}. {_cost(first, last)}"
        )
        for repair, words in (
            (RADII, "Radii that grow with the side, as the preset has them,"),
            (MODES, "Such radii and more modes together"),
        ):
            if better := _row(rows, large, repair):
                lines.append(
                    f"  - {words} move {_quality(last, better)}, and the Frechet distance from "
                    f"{last['frechet_distance']:.1f} to {better['frechet_distance']:.1f}. "
                    f"{_cost(last, better)}"
                )
    return "\n".join(lines)


def _at_most_budget(found: Mapping[str, Any]) -> pd.DataFrame:
    """The main method of each data set at its largest budget; usual and largest size are there."""
    rows = _of_main_methods(found)
    return rows[rows["epsilon"] == rows["epsilon"].max()]


def _of_main_methods(found: Mapping[str, Any]) -> pd.DataFrame:
    rows = means(found)
    return rows[rows["method"] == rows["dataset"].map(METHODS)]


def _row(rows: pd.DataFrame, side: int, repair: str) -> dict[str, Any]:
    """Its figures by name; empty where it was not measured."""
    some = rows[(rows["image_size"] == side) & (rows["repair"] == repair)]
    return {str(name): value for name, value in some.iloc[0].items()} if len(some) else {}


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _quality(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What a step moved; a list without an end."""
    shares = {"g2r_cnn": ("g2r", 1), "recall": ("recall", 0), "detail": ("fine detail", 0)}
    return ", ".join(
        f"{name} from {_percent(before[column], digits)} to {_percent(after[column], digits)}"
        for column, (name, digits) in shares.items()
    )


def _cost(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    return (
        f"Training takes {after['training_seconds']:.1f} s in place of "
        f"{before['training_seconds']:.1f}, and memory {after['training_peak_gigabytes']:.1f} GB in "
        f"place of {before['training_peak_gigabytes']:.1f}."
    )


def _by_size(axes: Axes, rows: pd.DataFrame, value: str) -> None:
    budgets = sorted(rows["epsilon"].unique(), reverse=True)
    for (repair, style), epsilon in itertools.product(_STYLES.items(), budgets):
        some = _curve(rows[rows["epsilon"] == epsilon], repair)
        if len(some):
            line = "-" if epsilon == budgets[0] else ":"
            label = f"{REPAIR_NAMES[repair]}, epsilon {epsilon:g}"
            axes.plot(some["image_size"], 100 * some[value], label=label, linestyle=line, **style)


def _curve(rows: pd.DataFrame, repair: str) -> pd.DataFrame:
    """The rows of a repair; at the usual size fixed radii are those of the preset."""
    chosen = rows["repair"] == repair
    if repair == RADII and chosen.any():
        usual = rows["image_size"] == rows["dataset"].map(usual_side)
        chosen |= usual & (rows["repair"] == PLAIN)
    return rows[chosen]


def _what_is_left(axes: Axes, rows: pd.DataFrame) -> None:
    rows = rows[rows["epsilon"] == rows["epsilon"].max()]
    fixed = rows[rows["repair"] == PLAIN]
    axes.plot(
        *(fixed["image_size"], 100 * fixed["kept_of_codes"]),
        color=COLORS[3],
        marker="D",
        markersize=4,
        label="length of codes, fixed radii",
    )
    for repair, style in _STYLES.items():
        some = _curve(rows, repair)
        axes.plot(some["image_size"], 100 * some["detail"], linestyle="-.", **style)
    axes.plot([], [], color="gray", linestyle="-.", label="fine detail, by color")


def _finish(axes: Axes, title: str, sides: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.minorticks_off()
    axes.set_xlabel("side in pixels", fontsize=10)
    axes.set_title(title, fontsize=11, loc="left")
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
