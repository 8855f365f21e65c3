"""The README's figures are those of the committed records, and its runs are the committed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from companion.book import readme
from companion.studies.campaign import RUNS
from companion.studies.committed import committed_records
from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import UNPUBLISHED, load_records

ROOT = Path(__file__).parents[2]


def test_readme_shows_the_figures_of_the_records() -> None:
    text = (ROOT / "README.md").read_text()
    block = readme.figures(committed_records(ROOT / "results"), ROOT)
    assert readme.updated(text, block) == text, "run make results"
    assert block.count("| `make experiment") >= 4
    planted = text.replace("| 0.9", "| 0.8", 1)
    assert planted != text
    assert readme.updated(planted, block) != planted


def test_missing_marker_is_named() -> None:
    with pytest.raises(InvalidArgument, match="no markers"):
        readme.updated("# title\n", "block\n")


def test_every_committed_record_is_one_of_the_listed_runs() -> None:
    """Every committed record can be made again by a command."""
    names = {run.config().record_name() for run in RUNS}
    found = {record.path.name for record in committed_records(ROOT / "results")}
    assert found and found <= names


def test_committed_records_keep_their_budget_and_publish_nothing_they_must_not() -> None:
    for record in load_records(ROOT / "results"):
        spent = record.privacy["epsilon"]
        assert spent["pld"] <= spent["rdp"] <= record.config.privacy.epsilon
        if record.config.dataset in UNPUBLISHED:
            public = [*record.path.glob("*.png"), *record.path.glob("*.npz")]
            assert not public  # pictures lie in private/, which a clone does not have
    assert set(UNPUBLISHED) < set(DATASETS)
