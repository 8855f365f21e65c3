"""Minutes and memory of ``make test`` and ``make book`` on a fresh clone, and of the metrics.

Each is the median of three. Only what is committed is measured. The set-up of the environment is
timed apart, as it depends on the network.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import nbformat
import psutil

from companion.studies.committed import project_root
from dpgen_core.checks import require
from dpgen_core.config.make import make_config
from dpgen_core.experiment import run_experiment

REPEATS = 3
# Set before anything was measured: minutes at most. Memory was to stay below four gigabytes.
GOALS = {
    "make test": 4.0,
    "make book": 9.0,
    "make book, without data": 6.0,
    "make book, after an edit of a text": 1.0,
    "metrics of a 28x28 set": 0.67,
}
_EVERY = 3.0  # seconds between two looks at the memory; a look takes time from what is measured
# In the clone, beside what `make clean` removes.
_MADE = ("results/local", "results/.work", "torch")

Row = dict[str, Any]


@dataclass(frozen=True)
class Clone:
    """A fresh clone with its environment; `setup` is how many seconds that took."""

    path: Path
    commit: str
    setup: float = 0.0

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> tuple[float, float]:
        """Seconds and gigabytes of a command run here, all its processes together.

        Raises:
            InvalidArgument: it failed; its output has been shown.
        """
        own = {"TORCH_HOME": str(self.path / "torch")}
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=self.path, env=os.environ | own | dict(environment or {})
        )
        peak = _watched(process)
        seconds = time.perf_counter() - started
        status, rule = process.returncode, "exit status 0"
        require(status == 0, " ".join(command), status, rule, "reading its output")
        return seconds, peak


@contextmanager
def fresh_clone(root: Path, setup: Sequence[str] = ("make", ".venv/installed")) -> Iterator[Clone]:
    """A clone of `root` in a temporary folder, set up by the command `setup`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(root), str(path)], check=True)
        short = ["git", "-C", str(path), "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(short, capture_output=True, text=True, check=True).stdout.strip()
        seconds, _ = Clone(path, commit).run(setup)
        yield Clone(path, commit, seconds)


def tests() -> list[Row]:
    """``make test``."""
    with fresh_clone(project_root()) as clone:
        runs = [clone.run(["make", "test"]) for _ in range(REPEATS)]
        return [row("make test", runs, clone)]


def book() -> list[Row]:
    """``make book``, from nothing and after the edit of a text."""
    with fresh_clone(project_root()) as clone:
        whole, again = [], []
        for turn in range(REPEATS):
            forget(clone)
            whole.append(clone.run(["make", "book"]))
            for page in ("book/intro.md", "notebooks/losses.ipynb"):
                edit(clone.path / page, turn)
            again.append(clone.run(["make", "book"]))
        return [
            row("make book", whole, clone),
            row("make book, after an edit of a text", again, clone),
        ]


def book_without_data() -> list[Row]:
    """``make book`` where no data set is at hand; with the network off, or it is downloaded."""
    with fresh_clone(project_root()) as clone, tempfile.TemporaryDirectory() as empty:
        runs = []
        for _ in range(REPEATS):
            forget(clone)
            runs.append(clone.run(["make", "book"], {"DPGEN_DATA": empty}))
        return [row("make book, without data", runs, clone)]


def metrics() -> list[Row]:
    """The metrics of a set of 28x28 images: the first of a data set, and the next ones."""
    first: list[tuple[float, float]] = []
    later: list[tuple[float, float]] = []
    for seed in range(REPEATS):
        config = make_config(dataset="mnist", method="gaussian", epsilon=10.0, seed=seed)
        with (
            tempfile.TemporaryDirectory() as folder,
            patch.dict(os.environ, {"TORCH_HOME": folder}),
        ):
            for name, found in (("first", first), ("later", later)):
                where = Path(folder) / name
                done = run_experiment(config, results_dir=where, progress=False).metrics
                found.append((done["evaluation_seconds"], done["peak_memory_gb"]))
    return [row("metrics of a 28x28 set", first), row("metrics of the next 28x28 set", later)]


def row(what: str, runs: Sequence[tuple[float, float]], clone: Clone | None = None) -> Row:
    """What is written of some runs, (seconds, gigabytes) each."""
    seconds, memory = zip(*runs, strict=True)
    return {
        "what": what,
        "minutes": round(median(seconds) / 60, 2),
        "goal_minutes": GOALS.get(what),
        "seconds": [round(value, 1) for value in seconds],
        "memory_gb": round(max(memory), 2),
        "setup_seconds": None if clone is None else round(clone.setup, 1),
        "commit": None if clone is None else clone.commit,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def forget(clone: Clone) -> None:
    """Remove what an earlier run made, trained classifiers included."""
    clone.run(["make", "--silent", "clean"])
    for made in _MADE:
        shutil.rmtree(clone.path / made, ignore_errors=True)


def edit(page: Path, turn: int) -> None:
    """Add a sentence to a page or to the text of a notebook."""
    sentence = f"\nThis is sentence {turn}.\n"
    if page.suffix == ".md":
        page.write_text(page.read_text() + sentence)
        return
    notebook = nbformat.read(page, as_version=4)
    text = next(cell for cell in notebook.cells[::-1] if cell.cell_type == "markdown")
    text.source += sentence
    nbformat.write(notebook, page)


def _watched(process: subprocess.Popen[Any]) -> float:
    """Wait for a process; the most memory that it and its children took, in gigabytes.

    Memory that processes share, such as libraries, counts once.
    """
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_EVERY):
            peak = max(peak, _memory(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    done.set()
    watcher.join()
    return peak / 2**30


def _memory(pid: int) -> int:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            info = member.memory_full_info()
            total += getattr(info, "pss", info.uss)  # without proportional sizes: what is its own
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total
