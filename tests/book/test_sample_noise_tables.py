"""The table of noise on samples, from invented answers."""

from __future__ import annotations

from typing import Any

from companion.book.sample_noise_tables import sample_noise_table, sample_noise_text
from companion.book.tables import MISSING
from companion.studies.sample_noise import NONE


def found() -> dict[str, Any]:
    rows = [
        (NONE, "fashion_mnist", 10.0, 0, 0.75),
        (NONE, "fashion_mnist", 10.0, 1, 0.77),
        ("dither", "fashion_mnist", 10.0, 0, 0.79),
        ("grain", "fashion_mnist", 10.0, 0, 0.82),
        ("grain", "mnist", 1.0, 0, 0.95),
    ]
    columns = ("form", "dataset", "epsilon", "seed", "accuracy")
    points: list[dict[str, Any]]
    points = [dict(zip(columns, row, strict=True)) | {"fall": 0.01} for row in rows]
    points.append(points[3] | {"accuracy": 0.9, "modes": 16})
    points.append(points[4] | {"accuracy": 0.96, "modes": 16, "temperature": 1.5})
    return {"points": {str(place): point for place, point in enumerate(points)}}


def test_rows_are_means_best_first_within_a_set_and_budget() -> None:
    table = sample_noise_table(found())
    assert [name for *_, name in table.index] == [
        *("grain, 16 modes", "grain", "dither", NONE),
        *("grain, 16 modes, temperature 1.5", "grain"),
    ]
    plain = table.loc[("Fashion-MNIST", "10", NONE)]
    assert plain["deep (%)"] == 76.0 and plain["lowest to highest"] == "75.0 to 77.0"
    assert table.loc[("MNIST", "1", "grain"), "lowest to highest"] == MISSING
    assert sample_noise_table({}).empty


def test_the_sentence_names_what_has_its_controls() -> None:
    text = sample_noise_text(found())
    assert (
        "Fashion-MNIST at epsilon 10 76.0 / 79.0 / 82.0 % (n = 1)" in text
        and "MNIST at epsilon 1 " not in text
    )
    assert text.endswith("in the same order: grain, 16 modes (90.0 %).")
    assert "sample_noise" in sample_noise_text({})
