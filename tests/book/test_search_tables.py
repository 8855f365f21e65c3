"""Tables and figure of the search for settings, from made trials and from the committed ones."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from companion.book import search_tables
from companion.studies.search_space import COLOR_STEPS, MOMENTS_TRIALS, SCAN_STEPS
from companion.studies.settings_search import TUNING_FILE
from dpgen_core.config.presets import MATCHED

ROOT = Path(__file__).parents[2]


def test_noise_table_pairs_equal_settings(tmp_path: Path) -> None:
    rows = [
        ("efsgd", 10.0, "{}", 0.84),
        ("efsgd", 10.0, '{"rounds": 600}', 0.9),
        ("efsgd", 1e6, "{}", 0.87),
        ("mixture", 1e6, '{"critic": "conv", "prior_cells": 64}', 0.96),
    ]
    columns = ["method", "epsilon", "overrides", "g2r"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / TUNING_FILE, index=False)
    table = search_tables.noise_table(tmp_path)
    assert table.loc["efsgd"].tolist() == ["the preset", 84.0, 87.0, 3.0]
    assert table.loc["mixture", "settings changed"] == "critic=conv, prior_cells=64"
    assert table.loc["mixture"].isna()["gain"] and table.loc["mixture"].iloc[2] == 96.0


def test_a_setting_is_compared_over_seeds_of_equal_settings(tmp_path: Path) -> None:
    rows = [
        ("mixture", 1.0, '{"prior_cells": 1, "seed": 0}', 0.93, 80.0, 0.3),
        ("mixture", 1.0, '{"prior_cells": 1, "seed": 1}', 0.95, 90.0, 0.3),
        ("mixture", 1.0, '{"prior_cells": 8, "seed": 0}', 0.92, 70.0, 0.2),
        ("mixture", 1.0, '{"prior_cells": 20, "prior_rank": 45}', 0.5, 1.0, 0.2),
        ("mixture", 1.0, "{}", 0.5, 1.0, 0.2),
    ]
    columns = ["method", "epsilon", "overrides", "g2r", "frechet_distance", "recall"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / TUNING_FILE, index=False)
    table = search_tables.seeds_table(tmp_path, "prior_cells")
    one, eight = ("mixture", 1.0, 1), ("mixture", 1.0, 8)
    assert list(table.index) == [one, eight]
    assert table.loc[one].tolist() == ["94.0 ± 1.4", "85.0 ± 7.1", "30.0 ± 0.0"]
    assert table.loc[eight].tolist() == ["92.0 ± nan", "70.0 ± nan", "20.0 ± nan"]


def test_colors_are_compared_step_by_step(tmp_path: Path) -> None:
    steps = [dict(step) for step in COLOR_STEPS]
    rows = [
        ("gaussian", epsilon, json.dumps({"dataset": "celeba", "seed": seed} | step), g2r, 9.0, 0.3)
        for epsilon, step, g2r in (
            (1.0, steps[0], 0.7),
            (10.0, steps[3], 0.9),
            (10.0, steps[0], 0.8),
        )
        for seed in (0, 1)
    ]
    rows.append(("gaussian", 10.0, "{}", 0.5, 1.0, 0.2))
    columns = ["method", "epsilon", "overrides", "g2r", "frechet_distance", "recall"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / TUNING_FILE, index=False)
    table = search_tables.color_table(tmp_path)
    assert table.index.tolist() == [10.0, 10.0, 1.0]
    assert table["g2r (%)"].tolist() == ["80.0 ± 0.0", "90.0 ± 0.0", "70.0 ± 0.0"]
    assert table["setting added"].tolist() == ["the preset", "prior_modes=24", "the preset"]


def test_trials_of_moments_are_shown_in_order_and_no_others(tmp_path: Path) -> None:
    chosen = [MOMENTS_TRIALS[6], MOMENTS_TRIALS[1], MOMENTS_TRIALS[-1]]
    rows = [(m, e, json.dumps(dict(o)), 0.8, 7.0, 0.5) for m, e, o in chosen]
    rows.append(("efsgd", 10.0, "{}", 0.5, 1.0, 0.2))
    columns = ["method", "epsilon", "overrides", "g2r", "frechet_distance", "recall"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / TUNING_FILE, index=False)
    table = search_tables.moments_table(tmp_path)
    assert table.index.tolist() == ["Fashion-MNIST", "MNIST", "MNIST"]
    assert table["settings changed"].tolist()[0].endswith("reconstruction_weight=0.05")
    assert table["g2r (%)"].tolist() == ["80.0"] * 3
    pd.DataFrame(rows[-1:], columns=columns).to_csv(tmp_path / TUNING_FILE, index=False)
    assert search_tables.moments_table(tmp_path).empty


def test_priors_for_scans_stand_beside_that_for_drawings(tmp_path: Path) -> None:
    on = {"dataset": "pneumoniamnist", "seed": 0}
    rows = [
        ("gaussian", 10.0, json.dumps(on | dict(SCAN_STEPS[3])), 0.9, 4.0, 0.8),
        ("gaussian", 10.0, json.dumps(on), 0.85, 5.0, 0.6),
        ("mixture", 10.0, json.dumps(on), 0.8, 17.0, 0.1),
        ("gaussian", 10.0, json.dumps({"dataset": "celeba", "seed": 0}), 0.5, 1.0, 0.2),
    ]
    columns = ["method", "epsilon", "overrides", "g2r", "frechet_distance", "recall"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / TUNING_FILE, index=False)
    table = search_tables.scans_table(tmp_path)
    assert table["g2r (%)"].tolist() == ["80.0 ± nan", "85.0 ± nan", "90.0 ± nan"]
    assert table["prior"].tolist() == [
        *("`mixture`, for drawings", "the preset"),
        "prior_covariance_radius=7, prior_shared_covariance=True",
    ]


def test_table_shows_the_settings_changed() -> None:
    table = search_tables.tuning_table(ROOT / "results")
    assert "the preset" in set(table["settings changed"])
    best = table[(table.index == "efsgd") & (table["epsilon"] == 10)]
    assert best["g2r"].is_monotonic_decreasing


def test_the_curve_holds_every_trial_of_efsgd(tmp_path: Path) -> None:
    lines = ["method,epsilon,overrides,g2r,minutes"]
    lines += [
        f"{MATCHED},10.0,{{}},0.8,3.0",
        f"{MATCHED},10.0,{{}},0.85,6.0",
        f"{MATCHED},1000000.0,{{}},0.9,4.0",
    ]
    lines += [f'{MATCHED},10.0,"{{""appearance_noise"": true, ""seed"": 0}}",0.88,5.0']
    lines += [f'{MATCHED},10.0,"{{""appearance_noise"": false, ""seed"": 0}}",0.7,7.0']
    lines += [f'{MATCHED},10.0,"{{""rounds_frame"": true, ""seed"": 0}}",0.91,5.5']
    (tmp_path / TUNING_FILE).write_text("\n".join([*lines, "gaussian,10.0,{},0.95,0.1"]) + "\n")
    trials, framed, varied, free, asked = (
        search_tables.compute_curve(tmp_path, floor=88.0).axes[0].lines
    )
    assert trials.get_xdata().tolist() == [3.0, 6.0, 7.0]
    assert trials.get_ydata().tolist() == [80, 85, 70]
    assert framed.get_ydata().tolist() == [91]
    assert varied.get_ydata().tolist() == [88]
    assert free.get_ydata().tolist() == [90] and list(asked.get_ydata()) == [88.0, 88.0]
    text = search_tables.compute_alt(tmp_path, floor=88.0)
    assert "epsilon 10: 0 of 3; epsilon 10, with frames: 1 of 1" in text
