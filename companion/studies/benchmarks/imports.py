"""Seconds to import the parts of the core, each in a fresh interpreter."""

from __future__ import annotations

import re
import subprocess
import sys
from statistics import median

# The goal set before anything was measured: seconds at most, by module.
GOALS = {
    "dpgen_core.accounting": 2.0,
    "dpgen_core.mechanism": 4.0,
    "dpgen_core.data.sets": 4.0,
    "dpgen_core.config.make": 4.0,
    "dpgen_core.records.record": 4.0,
    "dpgen_core.training.session": 4.0,
    "dpgen_core.experiment": 4.0,
    "dpgen_core.cli": 1.0,
}


def measure(repeats: int = 3) -> list[dict[str, float | str]]:
    """Median seconds by module, from ``python -X importtime``, with its goal."""
    return [
        {"module": name, "seconds": median(_seconds(name) for _ in range(repeats)), "goal": goal}
        for name, goal in GOALS.items()
    ]


def _seconds(module: str) -> float:
    """Cumulative time of one import: the line of the module itself comes last."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.findall(rf"\|\s+(\d+) \|\s+{re.escape(module)}$", lines, flags=re.MULTILINE)
    return int(found[-1]) / 1e6
