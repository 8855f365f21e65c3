"""Data of the interactive pages: small pictures, figures of the records, nothing withheld."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from made_records import make_record
from PIL import Image

from companion.book.site import browser_data, explorer_data, main
from companion.studies.committed import committed_records
from dpgen_core.accounting.rdp import ORDERS, sampled_gaussian_rdp

FIGURES = {"recall": 0.25, "frechet_distance": 12.34}


def _sheet(color: bool) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (564, 624, 3 if color else 1))
    buffer = io.BytesIO()
    Image.fromarray(noise.astype("uint8").repeat(1 if color else 3, 2)).save(buffer, "PNG")
    return buffer.getvalue()


def test_rows_have_the_figures_of_the_records(tmp_path: Path) -> None:
    make_record(tmp_path / "results", method="efsgd", **FIGURES)
    make_record(tmp_path / "results", method="gaussian", recall=None)
    make_record(tmp_path / "results", dataset="celeba", **FIGURES)
    rows = browser_data(committed_records(tmp_path / "results"), tmp_path / "records")
    assert {row["dataset"] for row in rows} == {"MNIST"}  # no picture learned from CelebA
    efsgd, gaussian = rows
    assert (efsgd["g2r"], efsgd["recall"], efsgd["frechet"]) == ("81.2 %", "0.25", "12.3")
    assert efsgd["spent"] == "9.900" and efsgd["plan"] == [1e-5, 0.1, 300, 1000]
    assert gaussian["recall"] == "n/a" and gaussian["plan"] is None and "rounds" not in gaussian
    assert sorted(p.name for p in (tmp_path / "records").iterdir()) == sorted(
        Path(row["samples"]).name for row in rows
    )


@pytest.mark.parametrize("color, mode", [(False, "L"), (True, "RGB")])
def test_pictures_are_small_and_keep_their_colors(tmp_path: Path, color: bool, mode: str) -> None:
    record = make_record(tmp_path / "results")
    record.samples_png.write_bytes(_sheet(color))
    (row,) = browser_data([record], tmp_path / "records")
    with Image.open(tmp_path / row["samples"]) as small:
        assert small.format == "WEBP" and small.width == 520
        pixels = np.asarray(small.convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=2).max() <= 6) == (mode == "L")


def test_curves_are_the_accountants() -> None:
    data = explorer_data(rates=(0.1, 1.0), noises=(1.0, 4.0))
    curve = sampled_gaussian_rdp(4.0, 0.1, "replace-one", ORDERS[::2])
    found = [math.inf if v is None else math.exp(v) for v in data["log_rdp"][0][1]]
    assert found == pytest.approx(list(curve), rel=1e-4)
    assert data["log_noises"] == pytest.approx([0.0, math.log(4.0)], abs=1e-6)


def test_the_scripts_are_written_beside_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("companion.book.site.explorer_data", lambda: {"orders": []})
    for name in ("book", "notebooks"):
        (tmp_path / name).mkdir()
    make_record(tmp_path / "results", **FIGURES)
    main(["--root", str(tmp_path)])
    static = tmp_path / "book" / "_static"
    assert (static / "browser-data.js").read_text().startswith("window.DPGEN_RECORDS = [{")
    assert (static / "explorer-data.js").read_text() == 'window.DPGEN_CURVES = {"orders": []};\n'
