"""The committed benchmarks (``results/benchmarks.json``, made by ``make bench``)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Benchmarks = dict[str, Any]  # part -> its measurements, as in the file

BENCHMARKS_FILE = "benchmarks.json"
# Measurements at these commits took the gradient of convolutional critics of `WIDE` channels and
# more with code that was removed since; those of narrower ones hold.
FORMER_COMMITS = ("95dc89d", "0ea173a")
WIDE = 16


def load_benchmarks(results_dir: Path) -> Benchmarks:
    """What ``make bench`` measured last; empty when it never ran."""
    path = results_dir / BENCHMARKS_FILE
    return json.loads(path.read_text()) if path.exists() else {}


def current_benchmarks(results_dir: Path) -> Benchmarks:
    """`load_benchmarks` without what was measured with code that was removed since."""
    return without_former(load_benchmarks(results_dir))


def without_former(found: Benchmarks) -> Benchmarks:
    """The measurements that hold for the present code; `found` is not changed."""
    kept = dict(found)
    for part in ("loop", "grid"):
        if _former(found, part):
            kept[part] = [row for row in found[part] if not _wide(row)]
    if _former(found, "cost"):
        # All convolutions now take the path that only narrow ones took.
        seconds = {name: s for name, s in found["cost"]["seconds"].items() if name != "narrow"}
        seconds["conv"] = found["cost"]["seconds"]["narrow"]
        probes = [row for row in found["cost"]["probes"] if not _wide_probe(row["probe"])]
        kept["cost"] = found["cost"] | {"seconds": seconds, "probes": probes}
    return kept


def former_note(found: Benchmarks) -> str:
    """A sentence on what `without_former` leaves out of `found`; empty when that is nothing."""
    if not any(_former(found, part) for part in ("loop", "grid", "cost")):
        return ""
    return (
        f"Convolutional critics of width {WIDE} and more are left out: they were measured with "
        "code that was removed since. Run `make bench` to measure them on your machine."
    )


def _former(found: Benchmarks, part: str) -> bool:
    made_with = found.get("made_with", {}).get(part, {})
    return (made_with.get("commit") or "").removesuffix("-dirty") in FORMER_COMMITS


def _wide(row: Mapping[str, Any]) -> bool:
    # The grid notes no width: its convolutions have the presets' own, which is wide.
    return row["critic"] == "conv" and row.get("width", WIDE) >= WIDE


def _wide_probe(name: str) -> bool:
    width = re.search(r"critic=conv, critic_width=(\d+)", name)
    return width is not None and int(width[1]) >= WIDE
