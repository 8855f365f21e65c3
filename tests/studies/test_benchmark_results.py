"""Benchmarks measured with removed code are left out, and only those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from companion.studies.benchmark_results import (
    BENCHMARKS_FILE,
    FORMER_COMMITS,
    WIDE,
    current_benchmarks,
    former_note,
    load_benchmarks,
    without_former,
)

ROOT = Path(__file__).parents[2]


def measured(commit: str) -> dict[str, Any]:
    probe = "efsgd, 1x28x28, critic=conv, critic_width="
    return {
        "loop": [
            {"critic": critic, "width": width}
            for critic, width in (("mlp", 64), ("conv", WIDE - 1), ("conv", WIDE))
        ],
        "grid": [{"critic": "mlp"}, {"critic": "conv"}],
        "cost": {
            "seconds": {"mlp": 1.0, "conv": 2.0, "narrow": 3.0},
            "probes": [{"probe": f"{probe}{width}: round"} for width in (8, WIDE)],
        },
        "made_with": {part: {"commit": commit} for part in ("loop", "grid", "cost")},
    }


@pytest.mark.parametrize("dirty", ["", "-dirty"])
def test_wide_convolutions_of_former_commits_are_left_out(dirty: str) -> None:
    found = measured(FORMER_COMMITS[0] + dirty)
    before = json.dumps(found)
    kept = without_former(found)
    assert [(row["critic"], row["width"]) for row in kept["loop"]] == [
        ("mlp", 64),
        ("conv", WIDE - 1),
    ]
    assert kept["grid"] == [{"critic": "mlp"}]
    assert kept["cost"]["seconds"] == {"mlp": 1.0, "conv": 3.0}
    assert [row["probe"].split("=")[-1] for row in kept["cost"]["probes"]] == ["8: round"]
    assert json.dumps(found) == before
    assert f"width {WIDE} and more are left out" in former_note(found)


def test_later_measurements_are_kept_and_need_no_note(tmp_path: Path) -> None:
    found = measured("abc1234")
    (tmp_path / BENCHMARKS_FILE).write_text(json.dumps(found))
    assert current_benchmarks(tmp_path) == load_benchmarks(tmp_path) == found
    assert former_note(found) == former_note({}) == ""
    assert current_benchmarks(tmp_path / "absent") == {}


def test_the_committed_benchmarks_keep_their_other_rows() -> None:
    found, kept = (read(ROOT / "results") for read in (load_benchmarks, current_benchmarks))
    assert kept.keys() == found.keys()
    for part in ("loop", "grid"):
        assert kept[part] and all(row in found[part] for row in kept[part])
    assert bool(former_note(found)) == (kept != found)
