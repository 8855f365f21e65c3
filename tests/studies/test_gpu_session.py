"""The GPU session at toy size on the CPU, and the tables of what it finds."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

import pytest
import torch

from companion.book import gpu_tables
from companion.studies.benchmarks.gpu_session import GPU_FILE, STEPS, Session, main
from companion.studies.benchmarks.gpu_sizes import TOY
from dpgen_core.checks import InvalidArgument

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("gpu session")  # one session serves several tests


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu")
    arguments = ["--toy", "--out", str(out), "--commit", "abc1234"]
    assert main([*arguments, "critics", "diffusion", "judges"]) == 0
    assert main([*arguments, "efsgd-prior", "quick"]) == 0  # a later session adds to the file
    return out


def test_every_step_leaves_its_findings(folder):
    found = json.loads((folder / GPU_FILE).read_text())
    assert {"critics", "diffusion", "judges", "quick", "records", "seconds"} <= found.keys()
    assert found["made_with"]["commit"] == "abc1234"
    record = folder / "records" / found["records"]["efsgd-prior"]["record"]
    assert json.loads((record / "config.json").read_text())["run"]["commit"] == "abc1234"
    assert set(found["seconds"]) == set(STEPS) - {"efsgd"}


def test_the_rounds_spend_the_budget_and_no_more(folder):
    (run,) = gpu_tables.load_gpu(folder)["diffusion"].values()
    assert 9.9 < run["epsilon"] <= 10.0
    assert len(run["norm_medians"]) == run["rounds"]


def test_fewer_rounds_than_planned_are_counted_as_such(tmp_path, monkeypatch):
    session = Session(tmp_path, TOY, torch.device("cpu"), None)
    target = "companion.studies.benchmarks.gpu_session.rounds_of"
    monkeypatch.setattr(target, lambda *_: [{"norm_median": 1.0}])  # stopped after one
    monkeypatch.setattr(Session, "_affordable", lambda self, *_: (TOY.diffusion, 3))
    monkeypatch.setattr(Session, "_score", lambda *_: {})
    row = session._train("glyphs", 10.0, 1.0)
    assert row["rounds"] == 1 and row["epsilon"] < 9.9


def test_a_step_that_fails_leaves_the_others_alone(tmp_path, monkeypatch, capsys):
    def broken(session):
        raise RuntimeError("no such kernel")

    def sound(session):
        session.found["critics"] = ["found"]
        session.save()

    steps = {"diffusion": broken, "critics": sound}
    monkeypatch.setattr("companion.studies.benchmarks.gpu_session.STEPS", steps)
    assert main(["--toy", "--out", str(tmp_path)]) == 1
    assert json.loads((tmp_path / GPU_FILE).read_text())["critics"]
    assert "failed: diffusion" in capsys.readouterr().err


def test_an_unknown_step_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(InvalidArgument, match="steps: received 'critic'"):
        main(["--toy", "--out", str(tmp_path / "new"), "critic"])
    assert not (tmp_path / "new").exists()


def test_tables_hold_the_figures_of_the_file(folder):
    found = gpu_tables.load_gpu(folder)
    assert len(gpu_tables.diffusion_table(found)) == 1
    table = gpu_tables.judge_table(found)
    runs = found["judges"]["glyphs, mixture, dithered"]
    expected = 100 * mean(run["accuracy"] for run in runs)
    assert table.loc[("glyphs", "mixture, dithered"), "mean"] == pytest.approx(expected, abs=0.06)
    assert len(gpu_tables.quick_table(found)) == 2
    for make in (gpu_tables.diffusion_table, gpu_tables.judge_table, gpu_tables.quick_table):
        assert len(make({})) == 0


def test_the_committed_session_is_whole():
    found = gpu_tables.load_gpu(ROOT / "results")
    assert found["made_with"]["commit"] and len(gpu_tables.diffusion_table(found)) == 2
    for run in found["diffusion"].values():
        assert run["epsilon"] <= 10.0
