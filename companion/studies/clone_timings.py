"""Minutes of ``make test`` and ``make book`` on a fresh clone.

``python -m companion.studies.clone_timings`` clones the repository into an empty folder, runs both
commands there, set-up and download of packages included, and writes ``results/timings.json``, from
which the README is made.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from companion.studies.committed import project_root, write_whole
from dpgen_core.checks import require

COMMANDS = (("make", "test"), ("make", "book"))
TIMINGS_FILE = "timings.json"


def measure(root: Path, commands: tuple[tuple[str, ...], ...] = COMMANDS) -> list[dict[str, Any]]:
    """Run the commands in a fresh clone of `root`, one after the other.

    Args:
        root: the current clone; only what is committed is measured.
        commands: what to run; the first one pays for the set-up.

    Returns:
        One entry per command: command, minutes, cores, system, commit.

    Raises:
        InvalidArgument: a command failed; its output has been shown.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
        commit = _output(["git", "rev-parse", "--short", "HEAD"], clone)
        for command in commands:
            started = time.perf_counter()
            status = subprocess.run(command, cwd=clone).returncode
            require(status == 0, " ".join(command), status, "exit status 0", "reading its output")
            minutes = round((time.perf_counter() - started) / 60, 1)
            rows.append(
                {
                    "command": " ".join(command),
                    "minutes": minutes,
                    "cores": os.cpu_count(),
                    "system": f"{platform.system()} {platform.machine()}",
                    "commit": commit,
                }
            )
    return rows


def write(rows: list[dict[str, Any]], results_dir: Path) -> Path:
    """Write the entries to ``timings.json`` in `results_dir`, atomically."""
    target = results_dir / TIMINGS_FILE
    write_whole(target, json.dumps(rows, indent=2) + "\n")
    return target


def read(results_dir: Path) -> list[dict[str, Any]]:
    """The timings on file; empty when nothing was measured yet."""
    path = results_dir / TIMINGS_FILE
    return json.loads(path.read_text()) if path.exists() else []


def _output(command: list[str], where: Path) -> str:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    here = project_root()
    print(write(measure(here), here / "results"))
    sys.exit(0)
