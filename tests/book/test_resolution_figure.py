"""Quality against the side in pixels as the book shows it."""

from __future__ import annotations

import pytest
from made_resolutions import G2R, made

from companion.book.resolution_figure import (
    REPAIR_NAMES,
    resolution_alt,
    resolution_figure,
    resolution_table,
    resolution_text,
)
from companion.studies.resolutions import MODES, PLAIN, RADII
from dpgen_core.records.sheets import png_bytes


def test_panels_hold_every_release() -> None:
    figure = resolution_figure(made())
    celeba, recall, left, glyphs, *_ = figure.axes
    titles = [axes.get_title(loc="left") for axes in (celeba, recall, left, glyphs)]
    assert titles[:2] == ["CelebA: g2r (%)", "CelebA: recall (%)"]
    assert titles[2:] == ["CelebA: % that is left", "Glyphs: g2r (%)"]
    lines = {line.get_label(): line for line in celeba.lines}
    assert list(lines[f"{REPAIR_NAMES[PLAIN]}, epsilon 10"].get_xdata()) == [32, 64]
    assert list(lines[f"{REPAIR_NAMES[PLAIN]}, epsilon 10"].get_ydata()) == pytest.approx([86, 51])
    # At the usual size fixed radii are those of the preset.
    assert list(lines[f"{REPAIR_NAMES[RADII]}, epsilon 1"].get_ydata()) == pytest.approx([76, 71])
    assert list(lines[f"{REPAIR_NAMES[MODES]}, epsilon 1"].get_ydata()) == pytest.approx([73])
    assert list(lines["the records"].get_ydata()) == pytest.approx([95, 95])
    assert list(recall.lines[0].get_ydata()) == pytest.approx([20, 20])
    assert list(left.lines[0].get_ydata()) == pytest.approx([97, 40])  # of a code's length
    assert [tick.get_text() for tick in glyphs.get_xticklabels()] == ["28", "128"]
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_words_and_table_quote_the_figures() -> None:
    said = resolution_alt(made())
    assert (
        "Glyphs from 86.0 % [20 %] at 28 pixels to 51.0 % [20 %] (fixed radii) and 81.0 % [20 %]"
        in said
    )
    words = resolution_text(made())
    assert (
        "from 32 to 64 pixels (n = 2) with fixed radii: the clip leaves 40 % of a code's length "
        "in place of 97 %" in words
    )
    assert "It moves g2r from 86.0 % to 51.0 %, recall from 20 % to 20 %" in words
    assert "Training takes 9.0 s in place of 2.0, and memory 4.0 GB in place of 1.0" in words
    assert "grow with the side, as the preset has them, move g2r from 51.0 % to 81.0 %" in words
    assert "Such radii and more modes together move g2r from 51.0 % to 83.0 %" in words
    assert words.count("the Frechet distance from 9.0 to 3.0") == 4
    table = resolution_table(made())
    row = table.loc[("Glyphs", "mixture", 1.0, REPAIR_NAMES[MODES], 128)]
    assert row["g2r (%)"] == pytest.approx(100 * (G2R[MODES] - 0.1) + 1) and row["seeds"] == 2
    assert row["noise per pixel (% of white)"] == 1 and row["fine detail (% of real)"] == 50


def test_one_data_set_is_enough() -> None:
    found = {"points": {n: p for n, p in made()["points"].items() if "glyphs" in n}}
    assert len(resolution_figure(found).axes) == 3
    assert "CelebA" not in resolution_alt(found) + resolution_text(found)
