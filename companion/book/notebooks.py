"""What the notebooks and the book's build need, so that notebooks hold no logic.

``python -m companion.book.notebooks execute --profile quick`` runs them with papermill into
``book/_executed``; ``check-pairs`` says whether each notebook agrees with its text form;
``mathjax`` copies MathJax beside the book, for reading with the network off.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext
import nbformat
import papermill
from IPython.display import Image, Markdown
from papermill.exceptions import PapermillExecutionError

from companion.book.figures import plot_diagnostics, plot_history
from companion.book.launch import repository, with_links
from companion.book.tables import DATASET_TITLES
from companion.studies.committed import project_root
from dpgen_core.checks import require
from dpgen_core.config.presets import PROFILES
from dpgen_core.data import sets as data
from dpgen_core.records.record import UNPUBLISHED, Record
from dpgen_core.records.sheets import png_bytes
from dpgen_core.records.statement import privacy_statement

BOOK_DATASET = "mnist"
# Pages that the book makes of one notebook: file, data set wanted, heading.
EXPERIMENT_PAGES = (
    ("experiment", "mnist", "Experiment: MNIST"),
    ("experiment_fashion_mnist", "fashion_mnist", "Experiment: Fashion-MNIST"),
    ("experiment_celeba", "celeba", "Experiment: CelebA faces"),
)
EXPERIMENT_PARAMETERS = (
    "dataset",
    "method",
    "epsilon",
    "delta",
    "profile",
    "accountant",
    "seed",
    "num_records",
    "results_dir",
    "wanted",
)
_SHELL_NAMES = ("In", "Out")  # IPython puts these beside the notebook's own names
_MATHJAX_FILES = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions")


def check_parameters(
    namespace: Mapping[str, object], allowed: Collection[str] = EXPERIMENT_PARAMETERS
) -> None:
    """Refuse parameters that the notebook does not have.

    papermill only warns of an unknown name and runs on with the default. Call this in the first
    cell after the parameters, before anything else is defined.

    Args:
        namespace: the notebook's ``globals()``.
        allowed: the parameters' names; default: those of the experiment.

    Raises:
        InvalidArgument: names the unknown parameter and the allowed ones.

    Example:
        >>> check_parameters({"epsilon": 3, "epsilom": 4}, ("epsilon", "delta"))
        Traceback (most recent call last):
        ...
        dpgen_core.checks.InvalidArgument: parameter: received 'epsilom', but it must be one of epsilon, delta. Try -p epsilon VALUE.
    """  # noqa: E501
    for name, value in namespace.items():
        imported = callable(value) or isinstance(value, ModuleType)
        if name in allowed or name in _SHELL_NAMES or name.startswith("_") or imported:
            continue
        likely = _closest(name, allowed)
        rule = f"one of {', '.join(allowed)}"
        require(False, "parameter", name, rule, f"-p {likely} VALUE")


def banner(dataset: str, profile: str, wanted: str = BOOK_DATASET) -> Markdown | None:
    """A notice when the page shows less than it is meant to; None when there is nothing to say.

    Args:
        dataset: what the notebook ran on.
        profile: how much work it spent.
        wanted: the data set that the page is about.
    """
    notices = []
    if dataset == "glyphs" and wanted != "glyphs":
        title = DATASET_TITLES[wanted]
        notices.append(
            f"This page shows <code>glyphs</code>, the embedded data set, and <b>not {title}</b>. The "
            f"book falls back on it when {title} is neither on disk nor can be downloaded. Set "
            f"<code>DPGEN_DATA</code> to a folder that holds {title}, or go online, and run "
            "<code>make book</code> again."
        )
    if profile == "smoke":
        notices.append(
            "This page was built with the <code>smoke</code> profile, which only shows that the "
            "code runs: <b>pictures and figures mean nothing</b>. <code>make book</code> uses "
            "<code>quick</code>."
        )
    if not notices:
        return None
    body = "".join(f"<p>{notice}</p>" for notice in notices)
    title = '<p class="admonition-title">Mind what this page shows</p>'
    return Markdown(f'<div class="admonition warning">{title}{body}</div>')


def history_image(record: Record) -> Image | None:
    """Public figures per round as a picture; None for a method without rounds."""
    if record.history.empty:
        return None
    return Image(png_bytes(plot_history(record.history)), alt="Epsilon and norms per round")


def diagnostics_image(record: Record) -> Image | None:
    """Private figures per round as a picture; None for a method without rounds."""
    if record.diagnostics.empty:
        return None
    return Image(png_bytes(plot_diagnostics(record.diagnostics)), alt="Clipping per round")


def samples_image(record: Record) -> Image | Markdown:
    """The record's sheet of samples, or a notice where they may not be shown."""
    if record.config.dataset in UNPUBLISHED:
        return Markdown(
            "*Pictures are withheld: this data set's license forbids passing them on, and pictures "
            "learned from it are treated alike. They are in the record's folder `private/`.*"
        )
    return Image(filename=str(record.samples_png), alt=f"Samples of {record.config.method}")


def rounds_image(record: Record) -> Image | Markdown | None:
    """The same latents after ever more rounds; None for a method without rounds."""
    if record.rounds_png is None:
        return None
    if record.config.dataset in UNPUBLISHED:
        return Markdown("*Withheld, as above.*")
    return Image(filename=str(record.rounds_png), alt="The same latents after ever more rounds")


def caveats(record: Record) -> Markdown:
    """What the guarantee of a record does not cover, as it stands in the record."""
    lines = list(record.privacy["outside_the_guarantee"])
    if not record.privacy["releasable"]:
        lines.insert(0, record.privacy["why_not_releasable"])
    return Markdown("\n".join(f"- {line}" for line in lines))


def statement_block(records: Sequence[Record]) -> Markdown:
    """The privacy statement of the default method on MNIST, its headings in bold.

    Args:
        records: from `tables.committed_records`.
    """
    wanted = ("mnist", "efsgd-prior", 0)
    for record in records:
        config = record.config
        if (config.dataset, config.method, config.seed) == wanted:
            return statement_markdown(record)
    return Markdown("No record of the default method is committed yet.")


def statement_markdown(record: Record) -> Markdown:
    """A record's privacy statement, its headings in bold."""
    text = privacy_statement(config=record.config, run=record.run, privacy=record.privacy)
    return Markdown(re.sub(r"^#+ (.+)$", r"**\1**", text, flags=re.MULTILINE))


def execute(root: Path, profile: str) -> None:
    """Run every notebook into ``book/_executed``, in the current environment.

    A notebook that declares the parameters ``profile``, ``dataset`` or ``wanted`` gets them. A data set
    that is neither on disk nor can be downloaded is replaced by `glyphs`. The experiment becomes one page
    per data set (`EXPERIMENT_PAGES`).

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
    """What is wrong with the pairs in ``notebooks``: one line each, none when all is well.

    A pair must hold the same cells with the same tags, and the ``.ipynb`` no outputs.
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
    parser = argparse.ArgumentParser(prog="python -m companion.book.notebooks")
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


def _closest(name: str, allowed: Collection[str]) -> str:
    return (get_close_matches(name, allowed, n=1, cutoff=0.0) or list(allowed))[0]


if __name__ == "__main__":
    sys.exit(main())
