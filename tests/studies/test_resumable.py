"""The file of a study: answers are added, and what it says of itself is said once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from companion.studies.resumable import Named, add_answer, load_answers, unanswered


def test_answers_are_added_and_the_first_words_stay(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    assert load_answers(path) == {}
    add_answer(path, "points", "a", {"x": 1}, made_with="first")
    add_answer(path, "points", "b", {"x": 2}, made_with="second")
    add_answer(path, "others", "a", {"x": 3})
    found = load_answers(path)
    assert found == {
        "made_with": "first",
        "points": {"a": {"x": 1}, "b": {"x": 2}},
        "others": {"a": {"x": 3}},
    }
    assert path.read_text().endswith("}\n") and [*tmp_path.iterdir()] == [path]


@dataclass(frozen=True)
class Point(Named):
    form: str
    seed: int = 0


def test_what_is_unanswered_is_listed_once_and_in_order(tmp_path: Path) -> None:
    path, points = tmp_path / "study.json", [Point("b"), Point("a"), Point("b"), Point("a", 1)]
    assert points[0].name() == "form b, seed 0"
    assert unanswered(path, "points", points) == [Point("b"), Point("a"), Point("a", 1)]
    add_answer(path, "points", points[1].name(), {})
    assert unanswered(path, "points", points) == [Point("b"), Point("a", 1)]
    assert len(unanswered(path, "others", points)) == 3
