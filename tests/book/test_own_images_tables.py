"""The table of times is what was measured, and says what ran beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from companion.book.own_images_tables import load_note, own_images_table
from companion.book.tables import MISSING
from companion.studies.benchmarks.own_images import load_own_images

ROOT = Path(__file__).parents[2]
MOST_GIGABYTES = 8.0  # a goal set before anything was measured


def row(images: int, load: float, *, evaluated: bool = True) -> dict[str, Any]:
    figures = {"seconds": 40.0, "processor_seconds": 60.0, "memory_gb": 1.26}
    figures |= {"forecast_seconds": 50.0, "forecast_gb": 1.2}
    scores = {"g2r_cnn": 0.81 if evaluated else None, "real_cnn": 0.97 if evaluated else None}
    where = {"images": images, "side": 28, "color": False, "evaluated": evaluated}
    return {**where, **figures, **scores, "load_average": load, "cores": 2}


def made(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"folders": {str(number): each for number, each in enumerate(rows)}}


def test_the_table_shows_the_smallest_first() -> None:
    table = own_images_table(made(row(600, 0.1), row(60, 0.1, evaluated=False)))
    assert list(table.index) == ["60 gray, 28x28, --no-evaluation", "600 gray, 28x28"]
    assert table["g2r (CNN)"].tolist() == [MISSING, 0.81]
    assert table["forecast (GB)"].tolist() == [1.2, 1.2]
    assert own_images_table({}).empty


def test_what_ran_beside_is_said() -> None:
    note = load_note(made(row(600, 3.2), row(60, 0.1)))
    assert "beside 1 of the 2 runs, on 2 cores: up to 3 processes" in note
    assert load_note(made(row(60, 0.1))) == load_note({}) == ""


def test_committed_runs_keep_the_goal_of_memory() -> None:
    found = load_own_images(ROOT / "results").get("folders", {})
    assert all(each["memory_gb"] < MOST_GIGABYTES for each in found.values())
