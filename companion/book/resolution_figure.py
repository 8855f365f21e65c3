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

TITLES = {"celeba": "CelebA, middle squares", "glyphs": "Glyphs"}
REPAIR_NAMES = {PLAIN: "preset", RADII: "clip radii grow", MODES: "radii grow, more modes"}
_STYLES: dict[str, dict[str, Any]] = {
    repair: {"color": color, "marker": mark, "markersize": 4}
    for repair, color, mark in zip(REPAIRS, COLORS, "os^", strict=False)
}


def resolution_figure(found: Mapping[str, Any]) -> Figure:
    """A row for each data set: accuracy by size, and what clip and basis leave of a picture.

    Args:
        found: from `load_resolutions`.
    """
    rows = _of_main_methods(found)
    names = [name for name in METHODS if (rows["dataset"] == name).any()]
    figure = new_figure(6.6, 0.6 + 2.6 * len(names))
    grid = figure.subplots(len(names), 2, squeeze=False)
    for (left, right), name in zip(grid, names, strict=True):
        some = rows[rows["dataset"] == name]
        _accuracies(left, some)
        _left(right, some)
        for axes, label in ((left, "g2r (%)"), (right, "% that is left")):
            _finish(axes, label, TITLES[name], sorted(some["image_size"].unique()))
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
        better = _row(rows, large, RADII)
        repaired = f" and {_percent(better['g2r_cnn'])} with growing radii" if better else ""
        said.append(
            f"{TITLES[str(name)]} from {_percent(_row(rows, usual, PLAIN)['g2r_cnn'])} at {usual} "
            f"pixels to {_percent(_row(rows, large, PLAIN)['g2r_cnn'])} with the preset{repaired} "
            f"at {large}"
        )
    return (
        f"Accuracy against the side of the picture: {'; '.join(said)}. To the right, the share of a "
        "code's length that the clip leaves falls as the picture grows, and so does fine detail."
    )


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
        "training_seconds": "training (s)",
        "judging_seconds": "judging (s)",
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
            f"pixels: the clip leaves {_percent(last['kept_of_codes'])} of a code's length in place of "
            f"{_percent(first['kept_of_codes'])}, g2r goes from {_percent(first['g2r_cnn'])} to "
            f"{_percent(last['g2r_cnn'])} (real images: {_percent(first['real_cnn'])} and "
            f"{_percent(last['real_cnn'])}), and training takes {_times(first, last, 'training_seconds')} "
            f"and memory {_times(first, last, 'training_peak_gigabytes')}."
        )
        for repair, words in (
            (RADII, "Radii that grow with the side"),
            (MODES, "More modes besides"),
        ):
            if better := _row(rows, large, repair):
                lines.append(
                    f"  - {words}: g2r {_percent(better['g2r_cnn'])}, the Frechet distance "
                    f"{better['frechet_distance']:.1f} in place of {last['frechet_distance']:.1f}, "
                    f"{_percent(better['detail'])} of the fine detail of real pictures in place of "
                    f"{_percent(last['detail'])}."
                )
    return "\n".join(lines)


def _at_most_budget(found: Mapping[str, Any]) -> pd.DataFrame:
    """The main method of each data set at its largest budget; usual and largest size are there."""
    rows = _of_main_methods(found)
    return rows[rows["epsilon"] == rows["epsilon"].max()]


def _of_main_methods(found: Mapping[str, Any]) -> pd.DataFrame:
    rows = means(found)
    return rows[rows["method"] == rows["dataset"].map(lambda name: METHODS[name][0])]


def _row(rows: pd.DataFrame, side: int, repair: str) -> dict[str, Any]:
    """Its figures by name; empty where it was not measured."""
    some = rows[(rows["image_size"] == side) & (rows["repair"] == repair)]
    return {str(name): value for name, value in some.iloc[0].items()} if len(some) else {}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _times(first: Mapping[str, Any], last: Mapping[str, Any], name: str) -> str:
    unit = "s" if name.endswith("seconds") else "GB"
    return f"{last[name]:.1f} {unit} in place of {first[name]:.1f}"


def _accuracies(axes: Axes, rows: pd.DataFrame) -> None:
    budgets = sorted(rows["epsilon"].unique(), reverse=True)
    for (repair, style), epsilon in itertools.product(_STYLES.items(), budgets):
        some = rows[(rows["repair"] == repair) & (rows["epsilon"] == epsilon)]
        if some.empty:
            continue
        line = "-" if epsilon == budgets[0] else ":"
        label = f"{REPAIR_NAMES[repair]}, epsilon {epsilon:g}"
        axes.plot(some["image_size"], 100 * some["g2r_cnn"], label=label, linestyle=line, **style)
    real = rows.groupby("image_size")["real_cnn"].mean()
    axes.plot(real.index, 100 * real, color="black", linestyle="--", label="the records")


def _left(axes: Axes, rows: pd.DataFrame) -> None:
    rows = rows[rows["epsilon"] == rows["epsilon"].max()]
    preset = rows[rows["repair"] == PLAIN]
    axes.plot(
        *(preset["image_size"], 100 * preset["kept_of_codes"]),
        color=COLORS[3],
        marker="D",
        markersize=4,
        label="length of codes, preset",
    )
    for repair, style in _STYLES.items():
        some = rows[rows["repair"] == repair]
        axes.plot(some["image_size"], 100 * some["detail"], linestyle="-.", **style)
    axes.plot([], [], color="gray", linestyle="-.", label="fine detail")


def _finish(axes: Axes, y_label: str, title: str, sides: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.minorticks_off()
    axes.set_xlabel("side in pixels", fontsize=10)
    axes.set_ylabel(y_label, fontsize=10)
    axes.set_title(title, fontsize=11, loc="left")
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
