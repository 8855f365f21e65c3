"""The clone and the records committed in it."""

from __future__ import annotations

from pathlib import Path

from dpgen_core.checks import require
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.record import Record, load_records


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (default: here) that holds ``book`` and ``notebooks``.

    Notebooks run from the root under papermill and from their own folder elsewhere.

    Raises:
        InvalidArgument: there is none.
    """
    here = Path.cwd() if start is None else Path(start).resolve()
    for folder in (here, *here.parents):
        if (folder / "book").is_dir() and (folder / "notebooks").is_dir():
            return folder
    require(False, "start", str(here), "inside a clone of the project", "cd to the clone")
    raise AssertionError("unreachable")


def committed_records(results_dir: Path) -> list[Record]:
    """The records the book shows: all but those of local runs and of the smoke profile.

    A record of one's own folder, or of a run under a secret key, is never among them.

    Args:
        results_dir: the folder ``results``; a missing one holds no records.
    """
    root = Path(results_dir)
    records = [r for r in load_records(root) if "local" not in r.path.relative_to(root).parts]
    return [record for record in records if _is_public(record.config)]


def _is_public(config: ExperimentConfig) -> bool:
    seeded = config.privacy.noise_source == "seeded"
    return config.dataset in DATASETS and seeded and config.profile != "smoke"
