"""Other forms of the paper's parts in the book: signs, bases and verdicts, from made runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from companion.book.part_form_tables import (
    BASES,
    form_effects,
    forms_answer,
    forms_report,
    forms_table,
    forms_text,
    words_by_form,
)
from companion.studies.part_forms import FORMS, NONE, Point, points

GAINS = {"assigned": 0.05, "near": -0.05}  # of g2r; all others change nothing


def made(seeds: int = 5) -> dict[str, Any]:
    found = {}
    noise = np.random.default_rng(0)
    for seed in range(seeds):
        for part, forms in FORMS.items():
            for form in forms:
                point = Point(part, form, "mnist", seed)
                wobble = 1e-4 * noise.standard_normal(3)
                found[point.name()] = {
                    **{"part": part, "form": form, "dataset": "mnist", "seed": seed},
                    **{"g2r_cnn": 0.8 + GAINS.get(form, 0) + wobble[0], "g2r_mlp": 0.7},
                    **{"real_cnn": 0.98, "precision": 0.5, "sharpness": 0.1, "sharpness_real": 0.2},
                    **{"frechet_distance": 20 + wobble[1], "recall": 0.1 + wobble[2]},
                }
    return {"points": found}


def test_every_form_is_compared_with_none_of_its_part() -> None:
    for part, compared in {"reconstruction": 7, "error feedback": 4, "noise injection": 5}.items():
        family = form_effects(made(), part)
        assert len(family) == 3 * compared
        for one in family:
            assert one.method.startswith(f"{part}: ")
            assert one.base == f"{part}: {BASES.get(one.method.split(': ')[1], NONE)}"
    assert all(base in FORMS["error feedback"] for base in BASES.values())


def test_a_form_is_tested_when_every_data_set_has_its_seeds() -> None:
    everywhere = made()
    for dataset in ("fashion_mnist", "celeba"):
        for answer in list(made()["points"].values()):
            point = Point(answer["part"], answer["form"], dataset, answer["seed"])
            everywhere["points"][point.name()] = answer | {"dataset": dataset}
    for found, untested in ((made(), True), (made(seeds=4), True), (everywhere, False)):
        words = words_by_form(form_effects(found, "reconstruction"))
        assert {"untested" in one for one in words.values()} == {untested}


def test_verdicts_have_the_sign_of_the_change() -> None:
    family = form_effects(made(), "reconstruction")
    by_form = {e.method: e for e in family if e.measure.column == "g2r_cnn"}
    assert by_form["reconstruction: assigned"].verdict == "better"
    assert by_form["reconstruction: assigned"].mean == pytest.approx(5, abs=0.05)
    assert by_form["reconstruction: near"].verdict == "worse"
    text = forms_text(family)
    assert text.startswith("**Reconstruction**: better: `assigned` g2r on MNIST; worse: `near` g2r")
    assert "(n = 5)" in text


def test_one_seed_decides_nothing_and_the_report_says_what_is_there() -> None:
    assert "all undecided" in forms_text(form_effects(made(seeds=1), "error feedback"))
    assert "all undecided" in forms_text(form_effects(made(seeds=4), "reconstruction"))  # of five
    planned = len(list(points()))
    assert forms_report({}) == f"Of its {planned} runs 0 are committed."
    some = made()
    first, *parts = forms_report(some).split("\n\n")
    of_plan = sum(point.dataset == "mnist" for point in points())  # others were made beside it
    assert first == f"Of its {planned} runs {of_plan} are committed."
    assert [part.partition(":")[0] for part in parts] == [f"**{n.capitalize()}**" for n in FORMS]


def test_the_table_has_means_over_seeds_for_one_data_set() -> None:
    found = made()
    table = forms_table(found, "mnist")
    assert len(table) == sum(map(len, FORMS.values())) and set(table["seeds"]) == {5}
    assert table.loc[("reconstruction", "near"), "g2r CNN (%)"] == "75.0"
    assert set(table["fine detail (%)"]) == {"50"}  # half of the real images'
    found["points"] = dict(reversed(found["points"].items()))  # however they were measured
    assert list(forms_table(found, "mnist").index) == list(table.index)
    assert [part for part, form in table.index if form == NONE] == list(FORMS)
    assert forms_table(found, "celeba").empty and forms_table({}, "mnist").empty


def test_the_answer_names_forms_that_help_and_harm_nothing() -> None:
    text = forms_answer(made())
    assert text.startswith(
        "(answer-other-forms)=\n**Does another form of a part help?** In the form"
    )
    said = "`assigned` reconstruction makes something better and nothing worse, where it was tested"
    assert said in text and "`near`" not in text  # on one data set of three
    assert "g2r by +5.0" in text and "(n = 5)" in text
    for none in ({}, made(seeds=1)):
        assert "Of no form is that decided yet." in forms_answer(none)
