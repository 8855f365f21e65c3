"""One call from a configuration to a record on disk: release, train, evaluate, write.

`run_experiment` may be killed at any moment and called again: it goes on from the last checkpoint,
and the ledger, rebuilt from the journal, never counts less than was released (see `workspace`).
"""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from dpgen_core.accounting import bound_text
from dpgen_core.checks import require
from dpgen_core.config.budget import LEARNERS
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import sets as datasets
from dpgen_core.data.folders import SHAPES
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.metrics import evaluate
from dpgen_core.records.provenance import provenance
from dpgen_core.records.record import Record, write_record
from dpgen_core.records.sheets import png_bytes, rounds_sheet, sample_sheet
from dpgen_core.records.statement import privacy_facts, privacy_statement
from dpgen_core.training.public_side import to_bytes
from dpgen_core.training.ranks import ALONE, Ranks
from dpgen_core.training.session import FinishedRun, Session
from dpgen_core.training.workspace import FollowingWorkspace, Workspace, work_folder

MOST_ROWS = 1000  # of history.csv and diagnostics.csv


SHEET_COLORS = {1: 32, 3: None}  # palette of the sample sheet by channels: a record stays small


def run_experiment(
    config: ExperimentConfig,
    *,
    results_dir: Path | str = Path("results/local"),
    root: Path | None = None,
    progress: bool = True,
    device: str | None = None,
    after_round: Callable[[int], None] | None = None,
    ranks: Ranks = ALONE,
) -> Record:
    """Run `config` and write its record; return the record without training if it is already whole.

    Args:
        config: from `make_config`.
        results_dir: where records lie; the private work folder is ``<results_dir>/.work/<name>``.
        root: data folder, see `data.data_root`.
        progress: show a progress bar with the epsilon spent so far.
        device: ``"cpu"``, ``"cuda"`` or None for whichever is there.
        after_round: called with the 1-based round after it was applied (tests, schedulers).
        ranks: from `spread.connected`, when several processes share the run; all call this alike, with
            a `results_dir` that all of them see.

    Returns:
        The record, at ``<results_dir>/<config.record_name()>``.

    Raises:
        InvalidArgument: the data do not fit the configuration, another run holds the folder, or the
            record there was made with other settings or from other data.
    """
    results = Path(results_dir)
    target, work = results / config.record_name(), work_folder(results, config.record_name())
    rule = "'owners' when several processes share the run: one critic has no shards to part"
    alone = ranks.size == 1 or not LEARNERS[config.privacy.learner].single
    require(alone, "learner", config.privacy.learner, rule, "one process")
    real = datasets.load(
        config.dataset, "train", root=root, num_records=config.privacy.num_records, seed=config.seed
    )
    _check_data(config, real)
    mark = _fingerprint(config, real)
    # A run that was killed after its record was moved has left its work folder, with the key in it.
    if ranks.decide(target.exists() and not work.exists()):
        return _known(Record(target), config, mark)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with _open_workspace(config, work, mark, ranks) as workspace:
        if not ranks.decide(target.exists()):  # asked again under the lock
            session = Session(
                config, real, workspace, ranks if ranks.size > 1 else Ranks(device=where)
            )
            session.train(progress and ranks.first, after_round)
            if ranks.first:
                write_outcome(session.finished(), target, root, fingerprint=mark)
        if ranks.first:
            workspace.discard()
    ranks.decide(True)  # the others wait for the record
    return _known(Record(target), config, mark)


def _open_workspace(
    config: ExperimentConfig, work: Path, fingerprint: str, ranks: Ranks
) -> Workspace:
    """The first rank's work folder; the others follow its books in memory."""
    if not ranks.first:
        return FollowingWorkspace(ranks.share(None))
    workspace = Workspace(
        work,
        fingerprint=fingerprint,
        noise_source=config.privacy.noise_source,
        seed=config.seed,
    )
    if ranks.size > 1:
        ranks.share(workspace.for_followers())
    return workspace


def _known(record: Record, config: ExperimentConfig, fingerprint: str) -> Record:
    """A record that is there, if it is of these very data and settings (a default may have changed).

    Committed records name no fingerprint; their data are public sets, which are the same everywhere.
    """
    now, then = config.to_dict(), record.config.to_dict()
    changed = sorted(name for name in now if now[name] != then[name])
    rule = "that of a record with the same settings"
    require(not changed, "record", f"{record.path.name}, other in {changed}", rule, "deleting it")
    own = config.dataset in SHAPES or config.privacy.noise_source == "secret"
    same = record.fingerprint == fingerprint or (record.fingerprint is None and not own)
    rule = "one learned from the data at hand; it was learned from others"
    fix = "another results_dir; what the record released stays released"
    require(same, "record", str(record.path), rule, fix)
    return record


def _fingerprint(config: ExperimentConfig, real: ImageData) -> str:
    digest = hashlib.sha256(repr(sorted(config.to_dict().items())).encode())
    digest.update(real.images.numpy().tobytes())
    digest.update(real.labels.numpy().tobytes())
    return digest.hexdigest()


def _check_data(config: ExperimentConfig, real: ImageData) -> None:
    """The loaded records must be the ones the accounting is about."""
    require(
        len(real.images) == config.privacy.num_records,
        "num_records",
        config.privacy.num_records,
        f"the number of records loaded, {len(real.images)}",
        "make_config(..., num_records=None)",
    )
    require(
        tuple(real.images.shape[1:]) == config.image_shape,
        "image_shape",
        config.image_shape,
        f"the shape of the images loaded, {tuple(real.images.shape[1:])}",
        "a fresh make_config(...)",
    )


def write_outcome(
    finished: FinishedRun, target: Path, root: Path | None, *, fingerprint: str
) -> Record:
    """Sample, evaluate and write the record; `fingerprint` identifies settings and data."""
    config, trainer = finished.config, finished.trainer
    count = config.evaluation.synthetic_records
    labels = torch.arange(count) % config.num_classes
    images = trainer.sample(labels)
    names = finished.real.class_names
    synthetic = ImageData(f"synthetic-{config.dataset}", images, labels, names)
    started = time.perf_counter()
    metrics = evaluate(
        synthetic,
        finished.real,
        _test_split(config, root),
        settings=config.evaluation,
        seed=config.seed,
        cache_dir=target.parent / ".work" / "classifiers",
    )
    metrics |= {
        "training_seconds": round(finished.seconds, 1),
        "evaluation_seconds": round(time.perf_counter() - started, 1),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    spent = {name: finished.ledger.epsilon(name) for name in ("rdp", "pld")}  # type: ignore[arg-type]
    sheet = sample_sheet(
        images,
        labels,
        class_names=names,
        title=f"{config.dataset}, {config.method}, delta {config.privacy.delta:g}, "
        f"epsilon {bound_text(spent['rdp'], 2)} (RDP) / {bound_text(spent['pld'], 2)} (PLD)",
    )
    colors = SHEET_COLORS[config.image_shape[0]]
    history, private = _thinned(finished.public), _thinned(finished.private)
    run, privacy = (
        provenance(finished.device),
        privacy_facts(
            config,
            finished.ledger,
            spent,
            rounds=finished.rounds,
            restarts=finished.restarts,
        ),
    )
    return write_record(
        target,
        config=config,
        run=run,
        privacy=privacy,
        metrics=metrics,
        history=history,
        diagnostics=private,
        samples_png=png_bytes(sheet, colors=colors),
        rounds_png=rounds_sheet(finished.snapshots, colors=colors),
        synthetic={
            "images": to_bytes(images).numpy(),
            "labels": labels.numpy(),
        },
        statement=privacy_statement(config=config, run=run, privacy=privacy),
        fingerprint=fingerprint,
    )


def _thinned(rows: list[dict[str, float]]) -> pd.DataFrame:
    """At most `MOST_ROWS` rows, the last one among them; a record stays small."""
    step = -(-len(rows) // MOST_ROWS) or 1
    kept = rows[::-1][::step][::-1]
    return pd.DataFrame(kept or None, columns=None if kept else ["round"])


def _test_split(config: ExperimentConfig, root: Path | None) -> ImageData:
    """The real test split, or `real_records` of it where that is fewer (glyphs are drawn)."""
    if config.dataset == "glyphs":
        count = min(config.evaluation.real_records, 10_000)
        return datasets.load("glyphs", "test", num_records=count, seed=config.seed)
    return datasets.load(config.dataset, "test", root=root)
