"""The file of a study: answers are added, and what it says of itself is said once."""

from __future__ import annotations

from pathlib import Path

from companion.studies.resumable import add_answer, load_answers


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
