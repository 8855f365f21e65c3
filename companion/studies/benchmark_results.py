"""The committed benchmarks (``results/benchmarks.json``, made by ``make bench``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Benchmarks = dict[str, Any]  # part -> its measurements, as in the file


FILE = "benchmarks.json"


def load_benchmarks(results_dir: Path) -> Benchmarks:
    """What ``make bench`` measured last; empty when it never ran."""
    path = results_dir / FILE
    return json.loads(path.read_text()) if path.exists() else {}
