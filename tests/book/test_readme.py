"""The README's figures are those of the committed records, and its runs are the committed ones."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from made_records import make_record

from companion.book import readme
from companion.studies.campaign import RUNS, names
from companion.studies.committed import committed_records
from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import UNPUBLISHED, load_records

ROOT = Path(__file__).parents[2]
(A_SHEET,) = (p.name for p in (ROOT / "results").glob("mnist-gaussian-eps10-quick-seed0-*"))


def test_readme_shows_the_figures_of_the_records() -> None:
    text = (ROOT / "README.md").read_text()
    block = readme.figures(committed_records(ROOT / "results"), ROOT)
    assert readme.updated(text, block) == text, "run make results"
    planted = re.sub(r"\d+\.\d %", "12.3 %", text, count=1)
    assert planted != text
    assert readme.updated(planted, block) != planted


def test_first_screen_holds_the_commands_and_one_short_table() -> None:
    text = (ROOT / "README.md").read_text()
    first = text.splitlines()[:15]
    assert any(line.startswith("make book") for line in first)
    assert any(line.startswith("make test") for line in first)
    rows = [line for line in text.splitlines() if line.startswith("| `make")]
    assert 3 <= len(rows) <= 6
    assert text.index("results/overview.png") < text.index("| command |")


def test_block_follows_its_records(tmp_path: Path) -> None:
    assert "No record" in readme.figures([], tmp_path)
    for method, accuracy in (("gaussian", 0.911), ("efsgd", 0.822), ("mixture", 0.955)):
        made = make_record(
            tmp_path / "results", method=method, g2r_cnn=accuracy, evaluation_seconds=60.0
        )
        shutil.copy(ROOT / "results" / A_SHEET / "samples.png", made.samples_png)
    block = readme.figures(committed_records(tmp_path / "results"), tmp_path)
    assert "82.2 against 91.1 %" in block and "{ref}" not in block
    assert "METHOD=mixture EPSILON=10` | our best, MNIST | 2.5 | 95.5 % |" in block


def test_missing_marker_is_named() -> None:
    with pytest.raises(InvalidArgument, match="no markers"):
        readme.updated("# title\n", "block\n")


def test_every_committed_record_is_one_of_the_listed_runs() -> None:
    """Every committed record can be made again by a command."""
    listed = {name for run in RUNS for name in names(run)}
    found = {record.path.name for record in committed_records(ROOT / "results")}
    assert found and found <= listed


def test_committed_records_keep_their_budget_and_publish_nothing_they_must_not() -> None:
    for record in load_records(ROOT / "results"):
        spent = record.privacy["epsilon"]
        assert spent["pld"] <= spent["rdp"] <= record.config.privacy.epsilon
        if record.config.dataset in UNPUBLISHED:
            public = [*record.path.glob("*.png"), *record.path.glob("*.npz")]
            assert not public  # pictures lie in private/, which a clone does not have
    assert set(UNPUBLISHED) < set(DATASETS)
