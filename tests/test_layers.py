"""Imports run one way: the contracts in pyproject.toml hold, and notice an import that goes up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UPWARD = {
    "the core imports the companion": ("dpgen_core/checks.py", "import companion.studies"),
    "a room imports one above it": (
        "dpgen_core/mechanism/clipping.py",
        "from dpgen_core.config import schema",
    ),
    "rooms of one layer": ("dpgen_core/records/record.py", "from dpgen_core import training"),
    "studies import the book": ("companion/studies/committed.py", "import companion.book.tables"),
}


def contracts(root: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    return subprocess.run(
        [*command, "--no-cache"], cwd=root, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("dpgen_core", "companion"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_run_one_way(copy: Path) -> None:
    done = contracts(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("what", UPWARD)
def test_an_import_that_goes_up_is_noticed(what: str, copy: Path) -> None:
    name, line = UPWARD[what]
    path = copy / name
    path.write_text(path.read_text() + f"\n{line}\n")
    done = contracts(copy)
    assert done.returncode == 1 and "BROKEN" in done.stdout


def test_no_module_of_the_core_is_longer_than_a_reader_takes_in() -> None:
    for folder in ("dpgen_core", "companion"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 350, path.name
