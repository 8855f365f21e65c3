"""Executed notebooks, kept for as long as everything that they read is the same.

Text may change freely: a kept notebook gives its outputs to the same code under new prose. What a
notebook reads is its own code and parameters, all Python files, the pinned packages, the committed
records, and which data are on disk.

>>> new = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
>>> old = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 2")])
>>> joined(new, old) is None  # other code
True
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from dpgen_core.data.sets import data_root
from dpgen_core.files import whole

Notebook = Any  # nbformat has no types
_INJECTED = "injected-parameters"  # papermill's tag
_SOURCES = ("dpgen_core/**/*.py", "companion/**/*.py", "requirements.lock", "book/*.csv")
_NOT_COMMITTED = ("synthetic.npz", "generator.safetensors")
_NEVER_READ = ("local", ".work")  # folders below ``results`` that no page shows


class Kept:
    """The folder of kept notebooks of the clone `root`; made when the first one is kept."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "_build" / "notebooks"
        self._read = read_digest(root)

    def path(self, page: str, notebook: Notebook, parameters: Mapping[str, Any]) -> Path:
        """Where the executed form of this code with these parameters is kept."""
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        parts = json.dumps([self._read, code, dict(parameters)], sort_keys=True)
        return self._folder / f"{page}-{hashlib.sha256(parts.encode()).hexdigest()[:16]}.ipynb"

    def load(self, path: Path, notebook: Notebook) -> Notebook | None:
        """`notebook` with the kept outputs; None where there are none."""
        if not path.exists():
            return None
        return joined(notebook, nbformat.read(path, as_version=4))

    def keep(self, path: Path, executed: Notebook) -> None:
        """Keep an executed notebook, and drop what was kept of its page before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        page = path.stem.rpartition("-")[0]
        for old in self._folder.glob(f"{page}-*.ipynb"):
            if old.stem.rpartition("-")[0] == page:
                old.unlink()
        with whole(path) as partial:
            nbformat.write(executed, partial)


def joined(notebook: Notebook, executed: Notebook) -> Notebook | None:
    """`notebook` with the outputs of `executed`; None if their code differs."""
    ran = [cell for cell in executed.cells if cell.cell_type == "code"]
    injected = [cell for cell in ran if _INJECTED in cell.metadata.get("tags", [])]
    own = [cell for cell in ran if cell not in injected]
    result = copy.deepcopy(notebook)
    cells = [cell for cell in result.cells if cell.cell_type == "code"]
    if [cell.source for cell in cells] != [cell.source for cell in own]:
        return None
    for cell, done in zip(cells, own, strict=True):
        cell.outputs, cell.execution_count = done.outputs, done.execution_count
        cell.metadata = done.metadata
    for cell in injected:  # papermill puts it behind the cell of the defaults
        tags = [c.metadata.get("tags", []) for c in result.cells]
        place = next((i + 1 for i, found in enumerate(tags) if "parameters" in found), 0)
        result.cells.insert(place, cell)
    result.metadata = executed.metadata
    return result


def read_digest(root: Path) -> str:
    """SHA-256 of all that a page may read, apart from itself."""
    digest = hashlib.sha256()
    for path in _files(root):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    data = data_root()
    for path in sorted(p for p in data.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(data)} {path.stat().st_size}\0".encode())
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for pattern in _SOURCES:
        yield from sorted(root.glob(pattern))
    for path in sorted((root / "results").rglob("*")):
        parts = path.relative_to(root / "results").parts
        if path.is_file() and path.name not in _NOT_COMMITTED and not set(_NEVER_READ) & set(parts):
            yield path
