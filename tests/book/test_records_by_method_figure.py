"""Quality against N by method as the book shows it."""

from __future__ import annotations

import pandas as pd
import pytest

from companion.book.records_by_method_figure import (
    records_by_method_alt,
    records_by_method_figure,
    records_by_method_report,
    records_by_method_table,
)
from companion.studies.records_by_method import Point, points, runs
from dpgen_core.records.sheets import png_bytes


def made() -> pd.DataFrame:
    answers = {}
    for point in (
        *(
            Point("mnist", "mixture", count, 10.0, seed)
            for count in (10_000, 1_000)
            for seed in (0, 1)
        ),
        Point("mnist", "efsgd", 1_000, 1.0),
        Point("fashion_mnist", "efsgd", 1_000, 10.0),
    ):
        figures = {"g2r_cnn": 0.5 + point.num_records / 40_000 + 0.01 * point.seed}
        figures |= {"real_cnn": 0.9, "frechet_distance": 12.34, "recall": 0.25}
        about = {"dataset": point.dataset, "method": point.method, "seed": point.seed}
        about |= {"num_records": point.num_records, "epsilon": point.epsilon}
        answers[point.name()] = about | figures
    return runs({"points": answers}, [])


def test_lines_hold_every_method_and_budget() -> None:
    figure = records_by_method_figure(made())
    clothes, digits, _, recall = figure.axes
    assert [axes.get_title(loc="left") for axes in (clothes, digits)] == ["Fashion-MNIST", "MNIST"]
    by_label = {line.get_label(): line for line in digits.lines}
    assert by_label["mixture, 10"].get_xdata().tolist() == [1_000, 10_000]
    assert by_label["mixture, 10"].get_ydata() == pytest.approx([53.0, 75.5])
    assert by_label["efsgd, 1"].get_ydata() == pytest.approx([52.5])
    assert not len(by_label["efsgd, 10"].get_xdata())  # those were on the other data set
    assert {float(y) for line in recall.lines for y in line.get_ydata()} == {0.25}
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_the_table_has_means_and_the_words_quote_it() -> None:
    table = records_by_method_table(made())
    assert table.index.tolist() == ["Fashion-MNIST", *3 * ["MNIST"]]
    assert table["records"].tolist() == ["1,000", "1,000", "10,000", "1,000"]
    assert table["seeds"].tolist() == [1, 2, 2, 1] and table["epsilon"].tolist()[-1] == "1"
    assert table["g2r CNN (%)"].tolist() == ["52.5", "53.0", "75.5", "52.5"]
    said = records_by_method_alt(made())
    assert "mixture on MNIST from 53 % with 1,000 records to 76 % with 10,000" in said


def test_nothing_run_is_said_to_be_so() -> None:
    planned = len(list(points()))
    assert records_by_method_report({}).startswith(f"Of the {planned} runs with fewer records 0 ")
    assert records_by_method_table(runs({}, [])).empty
