"""Without data a page shows the committed record of its data set and says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from forked_kernels import ForkedKernelManager
from made_records import CELEBA, make_record

from companion.book import stand_in
from companion.book.pages import banner
from companion.book.stand_in import committed_instead, stand_in_note
from dpgen_core.config.make import make_config
from dpgen_core.records.record import Record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without data that has one committed record, of MNIST; the tests run inside it."""
    for name in ("book", "notebooks"):
        (tmp_path / name).mkdir()
    make_record(tmp_path / "results", method="efsgd", threads=1)
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(stand_in.sets, "available", lambda name: name == "glyphs")
    return tmp_path


def config(**settings: Any):
    return make_config(**({"dataset": "mnist", "method": "efsgd"} | settings))


def test_the_committed_record_stands_in(clone: Path) -> None:
    record = committed_instead(config(), None)
    assert record is not None and record.config.dataset == "mnist"
    assert str(record.path).startswith(os.path.join("..", "results"))  # no path of this machine
    assert committed_instead(config(dataset="glyphs"), "mnist").path == record.path  # type: ignore[union-attr]


def test_nothing_stands_in_where_the_run_is_possible_or_nothing_fits(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert committed_instead(config(dataset="glyphs"), None) is None
    for other in ({"epsilon": 3.0}, {"seed": 5}, {"method": "gaussian"}, {"delta": 1e-6}):
        assert committed_instead(config(**other), None) is None
    assert committed_instead(config(**CELEBA), None) is None
    monkeypatch.setattr(stand_in.sets, "available", lambda name: True)
    assert committed_instead(config(), "mnist") is None


def test_the_page_says_what_it_shows(clone: Path) -> None:
    shown = committed_instead(config(), None)
    assert shown is not None
    shown.run["threads"] = 1
    text = banner(config(), shown).data  # type: ignore[union-attr]
    assert "committed record</b> on MNIST" in text and shown.path.name in text
    assert "built-in" not in text and "DPGEN_DATA" in text
    assert "<code>glyphs</code>" in banner(config(dataset="glyphs"), shown).data  # type: ignore[union-attr]
    ran = Record(make_record(clone / "own", g2r_cnn=0.5).path)
    note = stand_in_note(ran, shown)
    assert note is not None and "50.0 %" in note.data and "MNIST" in note.data
    assert stand_in_note(None, shown) is None and stand_in_note(shown, shown) is None


@pytest.mark.parametrize(
    "dataset, wanted, runs", [("glyphs", "mnist", True), ("celeba", "celeba", False)]
)
def test_the_experiment_page_without_data(
    dataset: str, wanted: str, runs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPGEN_DATA", str(tmp_path / "none"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing answers: as without a network
    results = tmp_path / "results"
    given = {"dataset": dataset, "wanted": wanted, "profile": "smoke", "results_dir": str(results)}
    executed = papermill.execute_notebook(
        str(ROOT / "notebooks" / "experiment.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters=given,
        kernel_name="python3",
        cwd=str(ROOT),
        progress_bar=False,
        kernel_manager_class=ForkedKernelManager,
    )
    assert results.exists() == runs
    outputs = nbformat.writes(executed)
    assert "Not run here: a committed record" in outputs
    assert ("From here on the page shows" in outputs) == runs
    assert "Pictures are withheld" in outputs or wanted != "celeba"
    pictures = sum(
        "image/png" in o.get("data", {}) for c in executed.cells for o in c.get("outputs", [])
    )
    assert pictures == (4 if wanted == "mnist" else 2)  # the curves alone, of CelebA
    last = [cell for cell in executed.cells if cell.cell_type == "code"][-1]
    assert f"results/{wanted}-efsgd-prior-eps10-quick-seed0" in str(last.outputs)
