"""Notebooks: pairs agree, hold no outputs, run, and refuse bad parameters in the first cell."""

from __future__ import annotations

import inspect
import math
import shutil
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from companion.book.build import EXPERIMENT_PAGES, check_pairs, copy_mathjax, execute, main
from companion.book.forked_kernels import ForkedKernelManager
from companion.book.pages import (
    BOOK_DATASET,
    EXPERIMENT_PARAMETERS,
    banner,
    check_parameters,
)
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import method_names
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import load_records

ROOT = Path(__file__).parents[2]
PAGES_OF_RESULTS = (
    *("ablations", "results", "diffusion", "literature"),
    *("audit", "speed", "scale"),
)
EXPERIMENT = ROOT / "notebooks" / "experiment.ipynb"
SMOKE = {"dataset": "glyphs", "profile": "smoke"}
# Where a profile does not say how much there is to do. `make book` runs the pages as they are.
FEW: dict[str, dict[str, Any]] = {
    "whole_method": {"rounds": 4, "num_shards": 40, "num_records": 400},
    "own_data": {"num_images": 1500, "synthetic_records": 200},
    "clipping_bias": {"classifier_steps": 10, "bias_rounds": 1},
    "losses": {"cohort_records": 300, "cohort": 5},
}


def run(
    notebook: Path, *, clone: Path = ROOT, executed: Path | None = None, **parameters: Any
) -> nbformat.NotebookNode:
    """The notebook as run; the file `executed`, where asked for, is written anew at each cell."""
    return papermill.execute_notebook(
        str(notebook),
        str(executed) if executed else None,
        parameters=parameters,
        kernel_name="python3",
        cwd=str(clone),
        progress_bar=False,
        kernel_manager_class=ForkedKernelManager,
    )


# --- pairs ---------------------------------------------------------------------------------------


def test_pairs_agree_and_hold_no_outputs() -> None:
    assert check_pairs(ROOT) == []


def planted_pair(root: Path) -> tuple[Path, Path]:
    folder = root / "notebooks"
    folder.mkdir()
    (root / "book").mkdir()
    return tuple(
        Path(shutil.copy(EXPERIMENT.with_suffix(end), folder)) for end in (".ipynb", ".py")
    )  # type: ignore[return-value]


def test_pair_check_sees_an_edit_an_output_and_a_missing_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook, text = planted_pair(tmp_path)
    command = ["check-pairs", "--root", str(tmp_path)]
    assert main(command) == 0

    source = text.read_text()
    text.write_text(source.replace("epsilon = 10.0", "epsilon = 9.0"))
    assert main(command) == 1 and "differ" in capsys.readouterr().out
    text.write_text(source.replace('tags=["parameters"]', 'tags=["parameter"]'))
    assert main(command) == 1
    text.write_text(source)

    document = nbformat.read(notebook, as_version=4)
    code = next(cell for cell in document.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("stream", text="left over")]
    nbformat.write(document, notebook)
    capsys.readouterr()
    assert main(command) == 1 and "holds outputs" in capsys.readouterr().out

    notebook.unlink()
    assert main(command) == 1 and "experiment.ipynb is missing" in capsys.readouterr().out


def test_parameters_cell_declares_the_allowed_names_with_the_library_defaults() -> None:
    declared = papermill.inspect_notebook(str(EXPERIMENT))
    assert tuple(declared) == EXPERIMENT_PARAMETERS
    values: dict[str, Any] = {}
    exec("\n".join(f"{name} = {entry['default']}" for name, entry in declared.items()), values)
    for name, parameter in inspect.signature(make_config).parameters.items():
        if name in declared and parameter.default is not inspect.Parameter.empty:
            assert values[name] == parameter.default, name


def test_experiment_page_validates_right_after_the_parameters() -> None:
    code = [c for c in jupytext.read(EXPERIMENT).cells if c.cell_type == "code"]
    assert "parameters" in code[0].metadata["tags"]
    assert "check_parameters(globals())" in code[1].source and "make_config(" in code[1].source


# --- bad parameters ------------------------------------------------------------------------------

BAD_VALUES = [
    ({"epsilon": 0}, "epsilon", "> 0"),
    ({"epsilon": -1}, "epsilon", "> 0"),
    ({"epsilon": math.nan}, "epsilon", "finite"),
    ({"epsilon": math.inf}, "epsilon", "finite"),
    ({"epsilon": "3"}, "epsilon", "number"),
    ({"epsilon": True}, "epsilon", "number"),
    ({"delta": 0.5}, "delta", "1/N"),
    ({"delta": 0}, "delta", "> 0"),
    ({"delta": "1e-5"}, "delta", "number"),
    ({"dataset": "mnits"}, "dataset", ", ".join(DATASETS)),
    ({"method": "sgd"}, "method", ", ".join(method_names())),
    ({"profile": "slow"}, "profile", "smoke, quick, paper"),
    ({"accountant": "zcdp"}, "accountant", "rdp, pld"),
    ({"num_records": 0}, "num_records", ">= 1"),
    ({"num_records": 2.5}, "num_records", "whole number"),
    ({"seed": -1}, "seed", ">= 0"),
]


@pytest.mark.parametrize("change, name, rule", BAD_VALUES, ids=[str(b[0]) for b in BAD_VALUES])
def test_bad_value_is_refused_with_name_value_and_rule(
    change: dict[str, Any], name: str, rule: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make_config(**SMOKE | change)
    message = str(caught.value)
    assert message.startswith(f"{name}: received {change[name]!r}")
    assert rule in message and "Try" in message


@pytest.mark.parametrize(
    "change, message",
    [
        ({"epsilon": "3"}, "epsilon: received '3'"),
        ({"epsilom": 3}, "parameter: received 'epsilom'"),
    ],
)
def test_bad_parameter_stops_the_notebook_before_anything_is_written(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    results, executed = tmp_path / "results", tmp_path / "executed.ipynb"
    with pytest.raises(PapermillExecutionError) as caught:
        run(EXPERIMENT, executed=executed, **SMOKE | {"results_dir": str(results)} | change)
    assert message in str(caught.value) and "Try" in str(caught.value)
    left = nbformat.read(executed, as_version=4)
    ran = [c for c in left.cells if c.cell_type == "code" and c.execution_count]
    assert "check_parameters" in ran[-1].source  # the first cell after the parameters
    assert not results.exists()


def test_unknown_names_are_distinguished_from_the_shells() -> None:
    shell = {"In": [], "Out": {}, "_": 1, "exit": print, "math": math}
    check_parameters(shell | {"epsilon": 3})
    with pytest.raises(InvalidArgument, match="datset.*one of dataset, method.*-p dataset"):
        check_parameters(shell | {"datset": "mnist"})


# --- every notebook runs -------------------------------------------------------------------------


OTHERS = sorted(set(EXPERIMENT.parent.glob("*.ipynb")) - {EXPERIMENT})


@pytest.mark.parametrize("notebook", OTHERS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path) -> None:
    declared = papermill.inspect_notebook(str(notebook))
    wanted = {k: v for k, v in SMOKE.items() if k in declared} | FEW.get(notebook.stem, {})
    executed = run(notebook, **wanted)
    outputs = [o for cell in executed.cells for o in cell.get("outputs", [])]
    assert outputs and not [o for o in outputs if o.output_type == "error"]
    captioned = [cell for cell in executed.cells if "figure" in cell.metadata.get("mystnb", {})]
    assert all("image/png" in str(cell.outputs) for cell in captioned)


def test_experiment_page_shows_banner_tables_and_pictures(tmp_path: Path) -> None:
    results = tmp_path / "results"
    executed = run(EXPERIMENT, **SMOKE | {"results_dir": str(results), "epsilon": 3})
    (record,) = load_records(results)
    assert record.config.privacy.epsilon == 3 and record.config.dataset == "glyphs"
    assert max(record.privacy["epsilon"].values()) <= 3
    last = [cell for cell in executed.cells if cell.cell_type == "code"][-1]
    assert str(record.path) in str(last.outputs)
    data = [o.data for c in executed.cells for o in c.get("outputs", []) if "data" in o]
    assert any("pictures and figures mean nothing" in d.get("text/markdown", "") for d in data)
    assert sum("image/png" in d for d in data) == 4  # samples, rounds, public and private curves
    tables = [d["text/html"] for d in data if "<table" in d.get("text/html", "")]
    assert len(tables) == 2 and f"{record.privacy['epsilon']['pld']:.3f}" in tables[0]
    tagged = [c for c in executed.cells if "remove-stderr" in c.metadata.get("tags", [])]
    noisy = [c for c in executed.cells if "stderr" in str(c.get("outputs", ""))]
    assert noisy == tagged  # the progress bar stays off the page


def test_banner_appears_only_when_the_page_shows_less_than_it_should() -> None:
    full = make_config(dataset="glyphs", method="gaussian")
    assert banner(full) is None
    assert "smoke" in banner(make_config(**SMOKE)).data  # type: ignore[union-attr]


@pytest.mark.parametrize("there", [True, False])
def test_without_data_one_page_runs_on_glyphs(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted_pair(tmp_path)
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("dpgen_core.data.sets.available", lambda name: there)

    def executed(source: str, target: str, **options: Any) -> None:
        calls.append(options)
        shutil.copy(source, target)

    monkeypatch.setattr(papermill, "execute_notebook", executed)
    execute(tmp_path, "smoke")
    asked = [call["parameters"] for call in calls]
    assert {call["profile"] for call in asked} == {"smoke"}
    assert sorted(call["wanted"] for call in asked) == sorted(n for _, n, _ in EXPERIMENT_PAGES)
    for call in asked:
        first = call["wanted"] == BOOK_DATASET
        assert call["dataset"] == ("glyphs" if first and not there else call["wanted"])


def test_a_failing_notebook_fails_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    broken.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(broken, tmp_path / "notebooks" / "broken.ipynb")
    monkeypatch.setattr("dpgen_core.data.sets.available", lambda name: False)
    monkeypatch.setattr("companion.book.build.EXPERIMENT_PAGES", ())
    assert main(["execute", "--profile", "smoke", "--root", str(tmp_path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_mathjax_is_whole(tmp_path: Path) -> None:
    pytest.importorskip("mathjax")
    target = copy_mathjax(tmp_path)
    assert (target / "tex-mml-chtml.js").stat().st_size > 1e6
    assert list(target.glob("output/chtml/fonts/woff-v2/MathJax_Main-Regular.woff"))
    assert (target / "LICENSE").exists()


@pytest.mark.parametrize("stem", PAGES_OF_RESULTS)
def test_pages_of_results_run_in_a_clone_without_records(stem: str, tmp_path: Path) -> None:
    """As after `git clone` and a change of presets: no record fits, and the book still builds."""
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "book", clone / "book", ignore=shutil.ignore_patterns("_*"))
    (clone / "notebooks").mkdir()
    (clone / "results").mkdir()
    for path in (ROOT / "results").iterdir():
        if path.is_file():
            shutil.copy(path, clone / "results")
    run(ROOT / "notebooks" / f"{stem}.ipynb", clone=clone)
