"""The status page: what this book was built with; ``python -m companion.book.status``.

Reads the executed notebooks and the committed records, and writes ``book/_generated/status.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import torch

from companion.book.tables import MISSING, markdown_table
from companion.studies.committed import committed_records, project_root
from dpgen_core.records.provenance import provenance
from dpgen_core.records.record import Record

_BUILDERS = ("jupyter-book", "jupytext", "papermill", "matplotlib", "pandas", "scipy")


def build_table() -> pd.DataFrame:
    """Versions, hardware, commit and day of this build."""
    run = provenance(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    rows = {
        "commit": run["commit"] or MISSING,
        "built": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "hardware": f"{run['device']}, {run['processor']}, {run['cores']} cores",
    }
    rows |= run["versions"] | {name: version(name) for name in _BUILDERS}
    return pd.DataFrame(list(rows.items()), columns=["what", "value"])


def notebook_table(executed: Path) -> pd.DataFrame:
    """One row per executed notebook: parameters, minutes, outcome.

    Args:
        executed: the folder that papermill wrote to.
    """
    rows = []
    for path in sorted(executed.glob("*.ipynb")):
        run: dict[str, Any] = nbformat.read(path, as_version=4).metadata.get("papermill", {})
        parameters = run.get("parameters", {})
        rows.append(
            {
                "notebook": path.stem,
                "parameters": ", ".join(f"{k}={v}" for k, v in parameters.items()),
                "minutes": f"{(run.get('duration') or 0) / 60:.1f}",
                "outcome": "failed" if run.get("exception") else "ran to its end",
            }
        )
    return pd.DataFrame(rows)


def record_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row per committed record: commit, device, minutes, memory, versions."""
    rows = []
    for record in records:
        run, metrics = record.run, record.metrics
        seconds = metrics["training_seconds"] + metrics["evaluation_seconds"]
        rows.append(
            {
                "record": record.path.name,
                "commit": run.get("commit") or MISSING,
                "device": f"{run['device']}, {run['threads']} of {run['cores']} cores",
                "minutes": f"{seconds / 60:.1f}",
                "memory, GB": f"{metrics['peak_memory_gb']:.1f}",
                "torch": run["versions"]["torch"],
            }
        )
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m companion.book.status", description=__doc__)
    parser.add_argument("--root", type=Path, default=None, help="the clone; default: found")
    root = project_root(parser.parse_args(arguments).root)
    parts = {
        "This build": build_table(),
        "Executed notebooks": notebook_table(root / "book" / "_executed"),
        "Records": record_table(committed_records(root / "results")),
    }
    target = root / "book" / "_generated" / "status.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        "\n".join(f"## {title}\n\n{markdown_table(table)}" for title, table in parts.items())
    )


if __name__ == "__main__":
    main()
