"""Pictures of executed notebooks become smaller and look the same."""

from __future__ import annotations

import base64
import io

import nbformat
import numpy as np
from PIL import Image

from companion.book.weight import MAX_WIDTH, lighten, lightened
from dpgen_core.records.sheets import new_figure, png_bytes


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def as_png(pixels: np.ndarray, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, format="PNG")
    return buffer.getvalue()


def plot() -> bytes:
    figure = new_figure(5.0, 3.0)
    axes = figure.add_subplot()
    for slope in range(5):
        axes.plot([0, 1], [0, slope], label=f"slope {slope}")
    axes.legend()
    return png_bytes(figure)


def test_a_plot_becomes_much_smaller_and_hardly_changes() -> None:
    before = plot()
    after = lightened(before)
    assert len(after) < 0.5 * len(before)
    assert np.abs(opened(after) - opened(before)).mean() < 1
    assert lightened(after) == after or len(lightened(after)) < len(after)


def test_a_color_of_few_pixels_is_kept() -> None:
    """A mark of a figure had turned from green to blue."""
    figure = new_figure(6.6, 5.6)
    for axes in figure.subplots(2, 2).flat:
        for color in ("#0072B2", "#D55E00"):
            axes.plot(np.sin(np.arange(50) / len(color)), color=color, marker="o", markersize=4)
    figure.axes[3].plot([10, 20], [0, 0.5], "^", color="#009E73", markersize=5)
    png_bytes(figure)  # the layout is settled by the first drawing
    before = opened(png_bytes(figure))
    for colors in (None, 64):
        green = (before == (0, 158, 115)).all(2)
        assert green.sum() > 10
        after = opened(lightened(png_bytes(figure, colors=colors)))
        assert np.abs(after - before)[green].max() <= 4
        assert np.abs(after - before).max() <= 40


def test_a_gray_picture_stays_gray() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    before = as_png(np.stack([ramp, ramp, ramp + (ramp < 250)], axis=2).astype(np.uint8))
    after = opened(lightened(before))
    assert np.ptp(after, axis=2).max() == 0
    assert np.abs(after - opened(before)).max() <= 16


def test_only_very_wide_pictures_are_scaled() -> None:
    for width, wanted in ((MAX_WIDTH, MAX_WIDTH), (2 * MAX_WIDTH, MAX_WIDTH)):
        noise = np.random.default_rng(0).integers(0, 255, (30, width, 3), dtype=np.uint8)
        assert opened(lightened(as_png(noise))).shape[1] == wanted


def test_transparency_becomes_white() -> None:
    clear = np.zeros((80, 80, 4), dtype=np.uint8)
    clear[:40] = np.random.default_rng(0).integers(0, 255, (40, 80, 4), dtype=np.uint8)
    assert (opened(lightened(as_png(clear, "RGBA")))[60:] == 255).all()


def test_a_notebooks_pictures_are_replaced_and_the_rest_is_kept() -> None:
    big = base64.b64encode(plot()).decode()
    outputs = [
        nbformat.v4.new_output("display_data", {"image/png": big, "text/plain": "a plot"}),
        nbformat.v4.new_output("stream", text="said"),
    ]
    cell = nbformat.v4.new_code_cell("draw()", outputs=outputs)
    notebook = lighten(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("x"), cell]))
    shown, said = notebook.cells[1].outputs
    assert len(shown.data["image/png"]) < 0.5 * len(big)
    assert shown.data["text/plain"] == "a plot" and said.text == "said"
    nbformat.validate(notebook)
