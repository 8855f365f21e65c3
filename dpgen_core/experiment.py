"""One call from a configuration to a record on disk: release, train, evaluate, write.

`run_experiment` may be killed at any moment and called again: it goes on from the last checkpoint,
and the ledger, rebuilt from the journal, never counts less than was released (see `workspace`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

from dpgen_core import data as datasets
from dpgen_core.checks import require
from dpgen_core.config import ExperimentConfig
from dpgen_core.cost import forecast_here
from dpgen_core.data import ImageData
from dpgen_core.folders import SHAPES
from dpgen_core.outcome import write_outcome
from dpgen_core.record import Record
from dpgen_core.session import Session
from dpgen_core.spread import ALONE, Ranks
from dpgen_core.workspace import FollowingWorkspace, Workspace, work_folder


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
        progress: say how long it will take, and show a progress bar with the epsilon spent so far.
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
    alone = ranks.size == 1 or config.learner == "owners"
    require(alone, "learner", config.learner, rule, "one process")
    real = datasets.load(
        config.dataset, "train", root=root, num_records=config.num_records, seed=config.seed
    )
    _check_data(config, real)
    mark = _fingerprint(config, real)
    # A run that was killed after its record was moved has left its work folder, with the key in it.
    if ranks.decide(target.exists() and not work.exists()):
        return _known(Record(target), config, mark)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if progress and ranks.size == 1 and where.type == "cpu":
        print(forecast_here(config) or "no forecast: nothing like it was measured", flush=True)
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
        noise_source=config.noise_source,
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
    own = config.dataset in SHAPES or config.noise_source == "secret"
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
        len(real.images) == config.num_records,
        "num_records",
        config.num_records,
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
