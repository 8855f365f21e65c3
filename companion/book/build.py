"""The notebooks' part of the build: ``python -m companion.book.build ACTION``.

* ``execute --profile quick`` runs the notebooks with papermill into ``book/_executed``, and writes
  what the pages show beside them: included parts, data of the interactive pages, the status, and
  MathJax, for reading with the network off;
* ``check-pairs`` says whether each notebook agrees with its text form.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from companion.book import includes, site, status
from companion.book.alt_text import keep_alt
from companion.book.csv_files import offer_files
from companion.book.executed import Kept
from companion.book.forked_kernels import ForkedKernelManager
from companion.book.launch import repository, with_links
from companion.book.pages import BOOK_DATASET
from companion.book.weight import lighten
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
LONG_PAGES = (*(page for page, _, _ in EXPERIMENT_PAGES[::-1]), "own_data", "whole_method")
SIDE_BY_SIDE = 2  # notebooks at a time; each takes about a gigabyte
_MATHJAX_FILES = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions")


@dataclass(frozen=True)
class _Page:
    name: str
    notebook: Any
    parameters: dict[str, str]

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{n}={v}" for n, v in self.parameters.items())])


def execute(root: Path, profile: str) -> None:
    """Run every notebook into ``book/_executed``, in the current environment.

    A notebook that declares the parameters ``profile``, ``dataset`` or ``wanted`` gets them. A
    data set that is not on disk and cannot be downloaded is replaced by its committed record, and
    on the first page by a run on `glyphs` too. The experiment becomes one page per data set
    (`EXPERIMENT_PAGES`). A page whose code, records and data are as in the last build is not run
    again (`executed.Kept`); the others run `SIDE_BY_SIDE`.

    Raises:
        PapermillExecutionError: a cell failed; the notebook with the error is left in place.
    """
    target = root / "book" / "_executed"
    target.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target.parent / "_generated" / "tables", ignore_errors=True)
    kept, waiting = Kept(root), []
    for page in _pages(root, profile):
        old = kept.load(kept.path(page.name, page.notebook, page.parameters), page.notebook)
        if old is None:
            waiting.append(page)
        else:
            print(f"unchanged {page}", flush=True)
            _place(old, page.name, target)
    workers = min(SIDE_BY_SIDE, os.cpu_count() or 1)
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    # The kernels inherit the variable.
    inherited = patch.dict(os.environ, {"OMP_NUM_THREADS": threads})
    with inherited, ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(_run, page, root, target, kept) for page in waiting]
        done, _ = wait(running, return_when=FIRST_EXCEPTION)
        failed = [future for future in done if future.exception() is not None]
        if failed:
            pool.shutdown(cancel_futures=True)
            failed[0].result()


def _pages(root: Path, profile: str) -> list[_Page]:
    """All pages, `LONG_PAGES` first, so that none of these is left to run alone."""
    pages = {page: (wanted, heading) for page, wanted, heading in EXPERIMENT_PAGES}
    published = repository()
    wanted_sets = {BOOK_DATASET, *(wanted for wanted, _ in pages.values())}
    usable = {name: data.available(name) for name in wanted_sets}
    sources = [path.stem for path in (root / "notebooks").glob("*.ipynb")]
    found = []
    for page in sorted({*sources, *pages}, key=_started):
        source = root / "notebooks" / f"{'experiment' if page in pages else page}.ipynb"
        wanted, heading = pages.get(page, (BOOK_DATASET, ""))
        notebook = nbformat.read(source, as_version=4)
        if heading:
            _retitle(notebook, heading)
        with_links(notebook, source.stem, published)
        declared = papermill.inspect_notebook(str(source))
        offered = {
            "profile": profile,
            # Without data, one page runs on what is built in; all show their committed record.
            "dataset": "glyphs" if wanted == BOOK_DATASET and not usable[wanted] else wanted,
            "wanted": wanted,
        }
        parameters = {name: value for name, value in offered.items() if name in declared}
        found.append(_Page(page, notebook, parameters))
    return found


def _started(name: str) -> tuple[int, str]:
    return (LONG_PAGES.index(name) if name in LONG_PAGES else len(LONG_PAGES)), name


def _run(page: _Page, root: Path, target: Path, kept: Kept) -> None:
    print(f"running {page}", flush=True)
    executed = target / f"{page.name}.ipynb"
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / f"{page.name}.ipynb"
        nbformat.write(page.notebook, prepared)
        papermill.execute_notebook(
            str(prepared),
            str(executed),
            parameters=page.parameters,
            kernel_name="python3",
            cwd=str(root),
            progress_bar=False,
            kernel_manager_class=ForkedKernelManager,
        )
    notebook = lighten(keep_alt(nbformat.read(executed, as_version=4)))
    kept.keep(kept.path(page.name, page.notebook, page.parameters), notebook)
    _place(notebook, page.name, target)


def _place(notebook: Any, name: str, target: Path) -> None:
    """Write the executed page as the book shows it, with its tables as files."""
    offered = offer_files(notebook, name, target.parent / "_generated" / "tables")
    nbformat.write(offered, target / f"{name}.ipynb")


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


def write_static(root: Path) -> None:
    """Write what the pages show beside the notebooks' outputs."""
    copy_mathjax(root)
    for part in (includes, site):
        part.main(["--root", str(root)])


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
    parser.add_argument("action", choices=["execute", "check-pairs"])
    parser.add_argument("--profile", choices=list(PROFILES), default="quick")
    parser.add_argument("--root", type=Path, default=None, help="the clone; default: found")
    options = parser.parse_args(arguments)
    root = project_root(options.root)
    if options.action == "check-pairs":
        wrong = check_pairs(root)
        print("\n".join(wrong or ["every notebook agrees with its text form"]))
        return 1 if wrong else 0
    else:
        try:
            execute(root, options.profile)
        except PapermillExecutionError as error:
            print(error, file=sys.stderr)
            return 1
        write_static(root)
        status.main(["--root", str(root)])
    return 0


def _essence(cells: Sequence[Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Type, source and tags of each cell: what a pair must have in common."""
    return [
        (cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", ())))
        for cell in cells
    ]


if __name__ == "__main__":
    sys.exit(main())
