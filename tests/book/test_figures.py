"""Figures: what is drawn where, equal bytes, no trace left in pyplot."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from companion.book.figures import (
    COLORS,
    budget_curve,
    compare_sheets,
    plot_curves,
    plot_diagnostics,
    plot_history,
    save_figure,
)
from dpgen_core.checks import InvalidArgument
from dpgen_core.records.sheets import new_figure, png_bytes, sample_sheet


def shades(per_class: int = 3, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Flat 4x4 images of classes 0, 1, 2: class k has shade k / 4, brighter from image to image."""
    labels = torch.arange(3 * per_class) % 3
    shade = labels / 4 + torch.arange(3 * per_class) // 3 / 100
    return shade[:, None, None, None].expand(-1, channels, 4, 4).clone(), labels


def sheet_pixels(figure: Figure, index: int = 0) -> np.ndarray:
    return np.asarray(figure.axes[index].images[0].get_array())


@pytest.mark.parametrize("channels", [1, 3])
def test_sheet_has_a_row_per_class_in_order(channels: int) -> None:
    images, labels = shades(channels=channels)
    pixels = sheet_pixels(sample_sheet(images, labels, per_class=2)).reshape(12, 8, -1)
    for row in range(3):
        for column in range(2):
            cell = pixels[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert np.allclose(cell, row / 4 + column / 100)


def test_missing_images_and_classes_stay_white() -> None:
    images, labels = shades()
    keep = labels != 1
    names = ("zero", "one", "two")
    figure = sample_sheet(images[keep], labels[keep], per_class=4, class_names=names, title="t")
    pixels = sheet_pixels(figure)
    assert pixels.shape == (12, 16)
    assert (pixels[4:8] == 1).all() and (pixels[:, 12:] == 1).all()
    assert (pixels[:4, :12] < 1).all() and (pixels[8:, :12] < 1).all()
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(names)
    assert axes.get_yticks() == pytest.approx([1.5, 5.5, 9.5])  # middle rows of the cells


def test_compared_sheets_share_their_rows() -> None:
    images, labels = shades()
    few = labels > 0
    figure = compare_sheets({"all": (images, labels), "few": (images[few], labels[few])})
    assert [axes.get_title() for axes in figure.axes] == ["all", "few"]
    left, right = sheet_pixels(figure, 0), sheet_pixels(figure, 1)
    assert left.shape == right.shape
    assert np.array_equal(left[4:], right[4:]) and (right[:4] == 1).all()


def test_sheets_refuse() -> None:
    images, labels = shades()
    with pytest.raises(InvalidArgument, match="one label each"):
        sample_sheet(images, labels[:-1])
    with pytest.raises(InvalidArgument, match="n > 0"):
        sample_sheet(images[:0], labels[:0], class_names=("a",))
    with pytest.raises(InvalidArgument, match="per_class"):
        sample_sheet(images, labels, per_class=0)
    with pytest.raises(InvalidArgument, match="at least one sheet"):
        compare_sheets({})


def test_history_and_diagnostics_draw_their_columns() -> None:
    rounds = [1, 2, 3]
    history = pd.DataFrame(
        {
            "round": rounds,
            "epsilon_rdp": [1.0, 1.5, 1.8],
            "release_norm": [9.0, 8.0, 7.0],
            "noise_norm_expected": [5.0, 5.0, 5.0],
        }
    )
    left, right = plot_history(history).axes
    assert left.lines[0].get_ydata().tolist() == [1.0, 1.5, 1.8]
    assert [line.get_ydata()[0] for line in right.lines] == [9.0, 5.0]
    private = pd.DataFrame(
        {"round": rounds, "clip_cosine": 0.9, "norm_mean": 2.0, "signal_norm": 4.0}
    )
    left, right = plot_diagnostics(private).axes
    assert left.lines[0].get_ydata()[0] == 0.9
    assert [line.get_ydata()[0] for line in right.lines] == [2.0, 4.0]


def test_a_run_without_rounds_gives_a_notice() -> None:
    for plot in (plot_history, plot_diagnostics):
        figure = plot(pd.DataFrame(columns=["round"]))
        assert [text.get_text() for text in figure.texts] == ["no rounds"]


def test_every_curve_is_drawn_and_distinguishable() -> None:
    axes = new_figure(3, 2).add_subplot()
    curves = {f"curve {i}": [i, i] for i in range(len(COLORS) + 3)}
    plot_curves(axes, [0, 1], curves, x_label="x", y_label="y")
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(axes.lines) == len(looks) == len(curves)


def test_budget_curve_shows_runs_and_means_per_method() -> None:
    table = pd.DataFrame(
        {
            "method": ["a", "a", "a", "b", "b"],
            "target_epsilon": [10.0, 10.0, 1.0, 1.0, 10.0],
            "epsilon_pld": [9.0, 9.0, 0.9, 0.8, 8.0],
            "g2r_cnn": [80.0, 90.0, 70.0, 60.0, float("nan")],
        }
    )
    axes = budget_curve(table).axes[0]
    means = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(means) == ["a", "b"]
    assert means["a"].get_xdata().tolist() == [0.9, 9.0]
    assert means["a"].get_ydata().tolist() == [70.0, 85.0]
    assert means["b"].get_ydata().tolist() == [60.0]
    assert axes.get_xscale() == "log"
    empty = budget_curve(pd.DataFrame(columns=["dataset", "method", "profile"]))
    assert [text.get_text() for text in empty.texts] == ["no runs"]


def test_saving_is_atomic_and_gives_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = shades()
    first, second = tmp_path / "new" / "a.png", tmp_path / "new" / "b.png"
    save_figure(sample_sheet(images, labels), first)
    save_figure(sample_sheet(images, labels), second)
    before = first.read_bytes()
    assert before == second.read_bytes() and before.startswith(b"\x89PNG")
    assert sorted(path.name for path in first.parent.iterdir()) == ["a.png", "b.png"]
    with pytest.raises(InvalidArgument, match="png"):
        save_figure(sample_sheet(images, labels), tmp_path / "a.pdf")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("dpgen_core.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(new_figure(1, 1), first)
    assert first.read_bytes() == before
    assert sorted(path.name for path in first.parent.iterdir()) == ["a.png", "b.png"]


def test_another_process_gives_the_same_bytes_and_pyplot_is_not_needed(tmp_path: Path) -> None:
    path = tmp_path / "other.png"
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from companion.book.figures import save_figure\n"
        "from dpgen_core.records.sheets import sample_sheet\n"
        "labels = torch.arange(4)\n"
        "images = (labels / 4)[:, None, None, None].expand(-1, 1, 4, 4)\n"
        f"save_figure(sample_sheet(images, labels, title='t'), Path({str(path)!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=120)
    labels = torch.arange(4)
    images = (labels / 4)[:, None, None, None].expand(-1, 1, 4, 4)
    assert path.read_bytes() == png_bytes(sample_sheet(images, labels, title="t"))


def test_a_palette_makes_a_sheet_smaller_and_hardly_different() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(40, 1, 28, 28, generator=generator)
    figure = sample_sheet(images, torch.arange(40) % 4)
    whole, small = png_bytes(figure), png_bytes(figure, colors=32)
    assert len(small) < 0.6 * len(whole)
    assert small == png_bytes(figure, colors=32)
    pixels = [np.asarray(Image.open(io.BytesIO(png)).convert("L"), float) for png in (whole, small)]
    assert np.abs(pixels[0] - pixels[1]).mean() < 4
