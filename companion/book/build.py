"""The notebooks' part of the build: ``python -m companion.book.build ACTION``.

* ``execute --profile quick`` runs the notebooks with papermill into ``book/_executed``;
* ``check-pairs`` says whether each notebook agrees with its text form;
* ``mathjax`` copies MathJax beside the book, for reading with the network off.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from companion.book.launch import repository, with_links
from companion.book.pages import BOOK_DATASET
from companion.studies.committed import project_root
from dpgen_core.checks import require
from dpgen_core.config.presets import PROFILES
from dpgen_core.data import sets as data

# Pages that the book makes from one notebook: file, data set wanted, heading.
EXPERIMENT_PAGES = (
    ("experiment", "mnist", "Experiment: MNIST"),
    ("experiment_fashion_mnist", "fashion_mnist", "Experiment: Fashion-MNIST"),
    ("experiment_celeba", "celeba", "Experiment: CelebA faces"),
)
_MATHJAX_FILES = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions")


def execute(root: Path, profile: str) -> None:
    """Run every notebook into ``book/_executed``, in the current environment.

    A notebook that declares the parameters ``profile``, ``dataset`` or ``wanted`` gets them. A
    data set that is not on disk and cannot be downloaded is replaced by `glyphs`. The experiment
    becomes one page per data set (`EXPERIMENT_PAGES`).

    Raises:
        PapermillExecutionError: a cell failed; the notebook with the error is left in place.
    """
    target = root / "book" / "_executed"
    target.mkdir(parents=True, exist_ok=True)
    pages = {page: (wanted, heading) for page, wanted, heading in EXPERIMENT_PAGES}
    published = repository()
    usable = {name: data.available(name) for name in {wanted for wanted, _ in pages.values()}}
    sources = [path.stem for path in (root / "notebooks").glob("*.ipynb")]
    for page in sorted({*sources, *pages}):
        source = root / "notebooks" / f"{'experiment' if page in pages else page}.ipynb"
        wanted, heading = pages.get(page, (BOOK_DATASET, ""))
        notebook = nbformat.read(source, as_version=4)
        if heading:
            _retitle(notebook, heading)
        with_links(notebook, source.stem, published)
        declared = papermill.inspect_notebook(str(source))
        offered = {
            "profile": profile,
            "dataset": wanted if usable[wanted] else "glyphs",
            "wanted": wanted,
        }
        parameters = {name: value for name, value in offered.items() if name in declared}
        shown = " ".join(f"{name}={value}" for name, value in parameters.items())
        print(f"running {page} {shown}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            prepared = Path(scratch) / f"{page}.ipynb"
            nbformat.write(notebook, prepared)
            papermill.execute_notebook(
                str(prepared),
                str(target / f"{page}.ipynb"),
                parameters=parameters,
                kernel_name="python3",
                cwd=str(root),
                progress_bar=False,
            )


def _retitle(notebook: Any, heading: str) -> None:
    """Put `heading` in place of the notebook's own first heading."""
    first = next(cell for cell in notebook.cells if cell.cell_type == "markdown")
    first.source = re.sub(r"^# .*$", f"# {heading}", first.source, count=1, flags=re.MULTILINE)


def check_pairs(root: Path) -> list[str]:
    """Problems with the pairs in ``notebooks``, one line each; empty when there are none.

    Both halves of a pair must hold the same cells and tags, and the ``.ipynb`` no outputs.
    """
    folder = root / "notebooks"
    wrong = []
    for stem in sorted({path.stem for path in folder.glob("*.*") if path.is_file()}):
        text, notebook = folder / f"{stem}.py", folder / f"{stem}.ipynb"
        if not (text.exists() and notebook.exists()):
            missing = notebook.name if text.exists() else text.name
            wrong.append(f"{missing} is missing: run `make pair`")
            continue
        cells = nbformat.read(notebook, as_version=4).cells
        if _essence(jupytext.read(text).cells) != _essence(cells):
            wrong.append(f"{notebook.name} and {text.name} differ: run `make pair`")
        if any(cell.get("outputs") or cell.get("execution_count") for cell in cells):
            wrong.append(f"{notebook.name} holds outputs: run `make pair`")
    return wrong


def copy_mathjax(root: Path) -> Path:
    """Copy MathJax, as a package ships it, to ``book/_static/mathjax``.

    Raises:
        InvalidArgument: the package is not installed.
    """
    found = find_spec("mathjax")
    locations = list(found.submodule_search_locations or ()) if found else []
    require(bool(locations), "mathjax", None, "installed (django-static-mathjax)", "`make book`")
    source = Path(locations[0]) / "static" / "mathjax"
    target = root / "book" / "_static" / "mathjax"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(source / "LICENSE", target)
    for name in _MATHJAX_FILES:
        path = source / "es5" / name
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target / name)
        else:
            shutil.copy(path, target / name)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m companion.book.build")
    parser.add_argument("action", choices=["execute", "check-pairs", "mathjax"])
    parser.add_argument("--profile", choices=list(PROFILES), default="quick")
    parser.add_argument("--root", type=Path, default=None, help="the clone; default: found")
    options = parser.parse_args(arguments)
    root = project_root(options.root)
    if options.action == "mathjax":
        copy_mathjax(root)
    elif options.action == "check-pairs":
        wrong = check_pairs(root)
        print("\n".join(wrong or ["every notebook agrees with its text form"]))
        return 1 if wrong else 0
    else:
        try:
            execute(root, options.profile)
        except PapermillExecutionError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _essence(cells: Sequence[Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Type, source and tags of each cell: what a pair must have in common."""
    return [
        (cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", ())))
        for cell in cells
    ]


if __name__ == "__main__":
    sys.exit(main())
