"""Records: what a run leaves on disk, written all at once and read back.

A record is a folder. Inside the guarantee: ``config.json``, ``privacy.json``, ``statement.md``,
``history.csv``, ``samples.png``, ``rounds.png`` (where there are rounds) and ``synthetic.npz`` (not
committed). Outside it: ``metrics.json``, ``judged-PROTOCOL.json`` (where a set was judged again),
``diagnostics.csv`` and ``fingerprint`` (of settings and data, not committed). A run whose noise
comes from a secret source keeps these in a subfolder ``private/``, so that the rest can be handed
over.

    >>> load_records(Path("no/such/folder"))
    []
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dpgen_core.checks import require
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.records.statement import STATEMENT_FILE, privacy_statement

if TYPE_CHECKING:  # slow to import
    import pandas as pd

# Data sets whose license forbids passing pictures on; synthetic pictures are treated alike.
UNPUBLISHED = ("celeba",)
KEY_REMOVED = "key_removed"  # an empty file in `private`
_PUBLIC_FILES = ("config.json", "privacy.json", "history.csv", "samples.png")
_PRIVATE_FILES = ("metrics.json", "diagnostics.csv")


@dataclass(frozen=True)
class Record:
    """One finished run on disk; `InvalidArgument` where the folder `path` is no whole record."""

    path: Path

    def __post_init__(self) -> None:
        names = [*_PUBLIC_FILES, *_PRIVATE_FILES]
        if self._find("config.json").exists() and self.config.dataset in UNPUBLISHED:
            names.remove("samples.png")  # a clone lacks the pictures that are withheld
        missing = [name for name in names if not self._find(name).exists()]
        rule = f"a whole record (missing: {', '.join(missing)})"
        require(not missing, "path", str(self.path), rule, "run_experiment(config) again")

    @cached_property
    def config(self) -> ExperimentConfig:
        """The run's configuration."""
        return ExperimentConfig.from_dict(self._json("config.json")["config"])

    @cached_property
    def run(self) -> dict[str, Any]:
        """How the run was made: versions, device, commit, when it finished."""
        return self._json("config.json")["run"]

    @cached_property
    def privacy(self) -> dict[str, Any]:
        """What was released and what it cost."""
        return self._json("privacy.json")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Quality figures; outside the guarantee."""
        return self._json("metrics.json")

    def judged(self, protocol: str) -> dict[str, Any] | None:
        """What `evaluation.judge_stored` found by this protocol, with all its settings; if asked."""
        name = f"judged-{protocol}.json"
        return self._json(name) if self._find(name).exists() else None

    @cached_property
    def history(self) -> pd.DataFrame:
        """Public figures per round."""
        return self._csv("history.csv")

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """Private figures per round; outside the guarantee."""
        return self._csv("diagnostics.csv")

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of settings and private data; None where it was not kept. Private."""
        path = self._find("fingerprint")
        return path.read_text() if path.exists() else None

    @property
    def key_removed(self) -> bool:
        """Whether the key of the hidden coins and noise was removed after the run."""
        return (self.path / "private" / KEY_REMOVED).exists()

    @property
    def samples_png(self) -> Path:
        """Picture of samples, one row per class; in a clone it is missing where it is withheld."""
        return self._find("samples.png")

    @property
    def rounds_png(self) -> Path | None:
        """Picture of the same latents after ever more rounds, if there is one."""
        path = self._find("rounds.png")
        return path if path.exists() else None

    def _find(self, name: str) -> Path:
        hidden = self.path / "private" / name
        return hidden if hidden.exists() else self.path / name

    def _csv(self, name: str) -> pd.DataFrame:
        from pandas import read_csv

        return read_csv(self._find(name))

    def _json(self, name: str) -> dict[str, Any]:
        return json.loads(self._find(name).read_text())


def write_record(
    path: Path,
    *,
    config: ExperimentConfig,
    run: Mapping[str, Any],
    privacy: Mapping[str, Any],
    metrics: Mapping[str, Any],
    history: pd.DataFrame,
    diagnostics: pd.DataFrame,
    samples_png: bytes,
    synthetic: Mapping[str, np.ndarray],
    rounds_png: bytes | None = None,
    statement: bool = False,
    fingerprint: str | None = None,
) -> Record:
    """Write a record beside its place, then move it there in one step: a reader sees all or nothing.

    Number and SHA-256 of the images in `synthetic` (arrays by name, one row per image) are added
    to `privacy`, the time in UTC to `run`. `statement` asks for a ``statement.md``, and for the
    `privacy` that `privacy_facts` makes. All else is as in `Record`.
    """
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    hidden = partial / "private"
    hidden.mkdir(mode=0o700)
    private = hidden if config.privacy.noise_source == "secret" else partial
    pictures = hidden if config.dataset in UNPUBLISHED else partial
    with open(pictures / "synthetic.npz", "w+b") as file:
        np.savez_compressed(file, **dict(synthetic))  # type: ignore[arg-type]
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    count = len(next(iter(synthetic.values())))
    run = {**run, "finished": datetime.now(UTC).isoformat(timespec="seconds")}
    privacy = {**privacy, "synthetic": {"count": count, "sha256": digest}}
    _write_json(partial / "config.json", {"config": config.to_dict(), "run": run})
    _write_json(partial / "privacy.json", privacy)
    if statement:
        text = privacy_statement(config=config, run=run, privacy=privacy)
        (partial / STATEMENT_FILE).write_text(text)
    _write_json(private / "metrics.json", metrics)
    history.to_csv(partial / "history.csv", index=False, float_format="%.6g")
    diagnostics.to_csv(private / "diagnostics.csv", index=False, float_format="%.6g")
    if fingerprint is not None:
        (private / "fingerprint").write_text(fingerprint)
    (pictures / "samples.png").write_bytes(samples_png)
    if rounds_png is not None:
        (pictures / "rounds.png").write_bytes(rounds_png)
    if not any(hidden.iterdir()):
        hidden.rmdir()
    os.replace(partial, path)
    return Record(path)


def note_key_removed(path: Path) -> None:
    """Note that a secret run's key was removed: a record without the note may have one somewhere."""
    if Record(path).config.privacy.noise_source == "secret":
        (path / "private" / KEY_REMOVED).touch(mode=0o600)


def load_records(results_dir: Path) -> list[Record]:
    """All whole records below `results_dir`, by name; half-written folders are passed over."""
    folders = sorted(path.parent for path in Path(results_dir).rglob("privacy.json"))
    return [Record(path) for path in folders if not path.name.endswith(".partial")]


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
