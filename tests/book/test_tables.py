"""The book's tables show the figures of the records, and no picture of CelebA."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_records import make_record

from companion.book import includes, tables
from companion.book.aggregate import comparison
from companion.book.gallery import gallery
from companion.studies.committed import committed_records, project_root
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.data.published import PublishedSet
from dpgen_core.data.sets import DATASETS, SOURCES
from dpgen_core.records.record import Record

PUBLISHED = Path(__file__).parents[2] / "book" / "published.csv"


def test_quality_table_shows_the_recorded_figures(tmp_path: Path) -> None:
    make_record(tmp_path, frechet_distance=12.345, frechet_floor=0.5)
    row = tables.results_table(committed_records(tmp_path), dataset="mnist", view="quality").iloc[0]
    assert row["method"] == "efsgd"
    assert row["epsilon (RDP)"] == "9.90" and row["epsilon (PLD)"] == "9.50"
    assert row["g2r CNN (%)"] == "81.2"
    assert row["Frechet distance (own classifier)"] in ("12.35", "12.34")
    assert row["its floor, real against real"] == "0.50"
    assert row["FID"] == row["g2r MLP (%)"] == tables.MISSING  # null and absent, never a number


def test_every_data_set_has_a_title_and_those_without_records_have_no_rows(tmp_path: Path) -> None:
    assert set(tables.DATASET_TITLES) == set(DATASETS)
    make_record(tmp_path)
    records = committed_records(tmp_path)
    for dataset in DATASETS:
        for view in tables.VIEWS:
            rows = len(tables.results_table(records, dataset=dataset, view=view))
            assert rows == (dataset == "mnist")
        assert len(comparison(records, dataset=dataset)) == (dataset == "mnist")
    assert "svhn" not in tables.findings(records).lower()


def test_the_page_on_data_names_every_set_and_where_its_files_are_looked_for() -> None:
    page = (PUBLISHED.parent / "reproduce.md").read_text()
    for name, source in SOURCES.items():
        (row,) = re.findall(rf"^\| .* \| `{name}` \| (.*) \| .* \|$", page, re.MULTILINE)
        if isinstance(source, PublishedSet):
            files = source.files()
            assert re.search(rf"`{re.escape(files.folder)}/?", row)
            assert "/*.gz" in row or all(file in row for file in files.sums)


def test_privacy_and_cost_tables(tmp_path: Path) -> None:
    make_record(tmp_path)
    make_record(tmp_path, method="gaussian")
    records = committed_records(tmp_path)
    privacy = tables.results_table(records, dataset="mnist", view="privacy").set_index("method")
    efsgd = next(r for r in records if r.config.method == "efsgd").config
    assert privacy.loc["efsgd", ["sigma", "q", "T", "K"]].tolist() == [
        "1.875",
        f"{efsgd.privacy.sampling_rate:.4f}",
        str(efsgd.privacy.rounds),
        str(efsgd.privacy.num_shards),
    ]
    # no rounds: sigma and q would mean nothing
    assert privacy.loc["gaussian", ["prior noise", "sigma", "q"]].tolist() == [
        "0.500",
        tables.MISSING,
        tables.MISSING,
    ]
    cost = tables.results_table(records, dataset="mnist", view="cost").set_index("method")
    assert cost.loc["efsgd", "training minutes"] == "1.5"


def test_a_row_says_where_more_rounds_are_charged_than_run(tmp_path: Path) -> None:
    """As after a resume on another device; the epsilon beside it is that of all that is charged."""
    path = make_record(tmp_path).path / "privacy.json"
    privacy = json.loads(path.read_text())
    event = {"name": "rounds", "count": privacy["rounds"] + 47}
    path.write_text(json.dumps(privacy | {"ledger": {"events": [event]}}))
    (record,) = committed_records(tmp_path)
    row = tables.results_table([record], dataset="mnist", view="privacy").iloc[0]
    assert row["T"] == f"{privacy['rounds']} ({privacy['rounds'] + 47} charged)"


def test_next_to_no_noise_is_called_no_privacy(tmp_path: Path) -> None:
    make_record(tmp_path, epsilon=1e6)
    (record,) = committed_records(tmp_path)
    row = tables.results_table([record], dataset="mnist", view="quality").iloc[0]
    assert row["epsilon (RDP)"] == row["epsilon (PLD)"] == "no privacy (about 10^6)"
    (mean,) = comparison([record], dataset="mnist")["epsilon (RDP / PLD)"]
    assert mean == "no privacy (about 10^6)"


def test_command_names_every_setting_that_is_not_the_presets(tmp_path: Path) -> None:
    plain = tables.command(make_record(tmp_path))
    assert plain.startswith("papermill notebooks/experiment.ipynb")
    for part in ("-p dataset mnist", "-p method efsgd", "-p epsilon 10 ", "-p delta 1e-05"):
        assert part in plain
    record = make_record(tmp_path, settings={"critic_steps": 77})
    code = tables.command(record)
    assert "critic_steps=77" in code and "critic_width" not in code
    call = code.removeprefix("run_experiment(").removesuffix(")")
    again = eval(call, {"make_config": make_config})
    assert again.critic.steps == 77 and again.privacy.rounds == record.config.privacy.rounds


def test_local_smoke_and_half_written_records_are_not_shown(tmp_path: Path) -> None:
    kept = make_record(tmp_path)
    make_record(tmp_path, profile="smoke")
    make_record(tmp_path / "local", seed=5)
    (tmp_path / "mnist-x.partial").mkdir()
    (tmp_path / "mnist-x.partial" / "privacy.json").write_text("{}")
    assert [r.path for r in committed_records(tmp_path)] == [kept.path]
    assert committed_records(tmp_path / "absent") == []


def test_rows_follow_the_books_order(tmp_path: Path) -> None:
    for method in ("gaussian", "efsgd/no-reconstruction", "efsgd", "efsgd-prior"):
        make_record(tmp_path, method=method)
    make_record(tmp_path, dataset="fashion_mnist", method="efsgd-prior")
    table = tables.runs_frame(committed_records(tmp_path))
    assert table["dataset"].tolist() == ["mnist"] * 4 + ["fashion_mnist"]
    assert table["method"].tolist()[:4] == [
        "efsgd-prior",
        "efsgd",
        "efsgd/no-reconstruction",
        "gaussian",
    ]


@pytest.mark.parametrize("view", sorted(tables.VIEWS))
def test_no_records_give_an_empty_table_with_its_columns(view: str) -> None:
    table = tables.results_table([], dataset="celeba", view=view)
    assert len(table) == 0
    assert list(table.columns) == [title for _, title, _ in tables.VIEWS[view]]


def test_a_record_is_whole_without_a_picture_only_where_pictures_are_withheld(
    tmp_path: Path,
) -> None:
    withheld, shown = make_record(tmp_path, dataset="celeba"), make_record(tmp_path)
    assert withheld.samples_png.parent.name == "private"
    for record in (withheld, shown):
        record.samples_png.unlink()
    assert Record(withheld.path).config.dataset == "celeba"
    with pytest.raises(InvalidArgument, match=r"missing: samples.png"):
        Record(shown.path)


def test_no_celeba_picture_is_ever_shown(tmp_path: Path) -> None:
    make_record(tmp_path, dataset="celeba")
    records = committed_records(tmp_path)
    with pytest.raises(InvalidArgument, match="celeba"):
        gallery(records, dataset="celeba", epsilon=10.0)
    # its figures may be
    assert len(tables.results_table(records, dataset="celeba", view="quality")) == 1


@pytest.mark.parametrize("argument", [{"dataset": "cifar"}, {"view": "price"}])
def test_unknown_names_are_refused(argument: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        tables.results_table([], **({"dataset": "mnist", "view": "quality"} | argument))


def test_findings_average_seeds_and_leave_ablations_out(tmp_path: Path) -> None:
    make_record(tmp_path, seed=0, g2r_cnn=0.80)
    make_record(tmp_path, seed=1, g2r_cnn=0.90)
    make_record(tmp_path, method="efsgd/no-reconstruction")
    lines = tables.findings(committed_records(tmp_path)).splitlines()
    assert len(lines) == 3  # head, rule, one row
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[0] == "MNIST" and cells[5] == "85.0" and cells[-1] == "2"


def test_findings_without_records_says_so() -> None:
    assert "No record" in tables.findings([])


def test_command_line_writes_what_the_introduction_includes(tmp_path: Path) -> None:
    for name in ("book", "notebooks", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "book" / "published.csv").write_text(PUBLISHED.read_text())
    make_record(tmp_path / "results")
    includes.main(["--root", str(tmp_path / "notebooks")])
    generated = tmp_path / "book" / "_generated"
    assert "81.2" in (generated / "findings.md").read_text()
    assert "49.41" in (generated / "claims.md").read_text()
    assert (generated / "verdicts.md").read_text().count("(answer-") == 5


def test_project_root_outside_a_clone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="clone"):
        project_root(tmp_path)
