"""Links that open the notebooks on Colab and Binder, and the set-up cell that Colab needs.

A link needs the address of the published repository. GitHub's runners set ``$GITHUB_REPOSITORY``;
elsewhere set ``$DPGEN_REPOSITORY`` (``owner/name``). Without either there are no links. Binder
builds the clone's ``environment.yml``. Colab opens a copy on the branch ``launch``, whose first
cell clones the repository; ``python -m companion.book.launch FOLDER`` writes these copies.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from companion.studies.committed import project_root
from dpgen_core.checks import require

BRANCH = "launch"
_COLAB = "https://colab.research.google.com/github"
_BINDER = "https://mybinder.org/v2/gh"
_VARIABLES = ("DPGEN_REPOSITORY", "GITHUB_REPOSITORY")


def repository() -> str | None:
    """``owner/name`` of the published repository, or None when neither variable is set.

    Raises:
        InvalidArgument: a variable holds something else.
    """
    for variable in _VARIABLES:
        name = os.environ.get(variable)
        if name:
            good = re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None
            require(good, variable, name, "owner/name", f"{variable}=owner/dpgen")
            return name
    return None


def links(page: str, name: str | None) -> str:
    """Markdown: where the notebook `page` can be opened and run; empty without a repository."""
    if name is None:
        return ""
    path = f"notebooks/{page}.ipynb"
    return (
        f"[Open in Colab]({_COLAB}/{name}/blob/{BRANCH}/{path}) · "
        f"[open in Binder]({_BINDER}/{name}/HEAD?labpath={path}) · "
        f"[source](https://github.com/{name}/blob/HEAD/{path})"
    )


def with_links(notebook: NotebookNode, page: str, name: str | None) -> None:
    """Put `links` below the first heading of a notebook, in place."""
    line = links(page, name)
    if line:
        first = next(cell for cell in notebook.cells if cell.cell_type == "markdown")
        first.source = re.sub(
            r"^# .*$", rf"\g<0>\n\n{line}", first.source, count=1, flags=re.MULTILINE
        )


def with_setup(notebook: NotebookNode, name: str, commit: str) -> NotebookNode:
    """Insert a first cell that clones the repository at `commit` and installs it; for Colab.

    Args:
        notebook: changed in place.
        name: ``owner/name``.
        commit: a commit or a branch.
    """
    source = (
        "# Colab starts empty: this gets the clone and what it needs (some minutes).\n"
        f"!git clone --quiet https://github.com/{name} dpgen\n"
        "%cd dpgen\n"
        f"!git checkout --quiet {commit}\n"
        "%pip install --quiet ."
    )
    notebook.cells.insert(0, nbformat.v4.new_code_cell(source, id="set-up"))
    return notebook


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: write the copies for the branch ``launch``."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.book.launch", description=main.__doc__
    )
    parser.add_argument("target", type=Path, help="folder that becomes the branch")
    parser.add_argument("--commit", default="HEAD", help="what the copies check out")
    options = parser.parse_args(arguments)
    name = repository()
    require(name is not None, "repository", None, "known", "DPGEN_REPOSITORY=owner/name")
    assert name is not None
    folder: Path = options.target / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((project_root() / "notebooks").glob("*.ipynb")):
        notebook = with_setup(nbformat.read(path, as_version=4), name, options.commit)
        nbformat.write(notebook, folder / path.name)


if __name__ == "__main__":
    main()
