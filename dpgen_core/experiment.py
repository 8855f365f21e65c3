"""One call from a configuration to a record on disk: release, train, evaluate, write.

`run_experiment` may be killed at any moment and called again: it goes on from the last checkpoint,
and the ledger, rebuilt from the journal, never counts less than was released.
"""

from __future__ import annotations

import hashlib
import math
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dpgen_core.accounting.events import epsilon_of_events
from dpgen_core.accounting.ledger import bound_text
from dpgen_core.checks import require
from dpgen_core.config.budget import LEARNERS, planned_events
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import folders, sets
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.classifiers import machine_cache
from dpgen_core.evaluation.metrics import Metric, evaluate
from dpgen_core.pixels import USUAL_VALUES, to_bytes, to_floats
from dpgen_core.records.bounds import delta_text
from dpgen_core.records.provenance import provenance
from dpgen_core.records.record import Record, note_key_removed, write_record
from dpgen_core.records.sheets import png_bytes, rounds_sheet, sample_sheet
from dpgen_core.records.statement import privacy_facts
from dpgen_core.training.ranks import ALONE, Ranks
from dpgen_core.training.sampler import GENERATOR_FILE, usable_device
from dpgen_core.training.session import Session
from dpgen_core.training.workspace import FollowingWorkspace, Workspace, work_folder

if TYPE_CHECKING:  # slow to import
    import pandas as pd

Records = ImageData | folders.Pool
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
    """Run `config` and write its record; return the record without training if it is there.

    Args:
        config: from `make_config`.
        results_dir: where the record lies, and the private work folder, ``.work/<record's name>``.
        root: data folder, see `data.sets.data_root`.
        progress: show a progress bar with the epsilon spent so far.
        device: None takes CUDA where there is one.
        after_round: called with the 1-based round after it was applied.
        ranks: of `training.ranks.connected`; all processes call this alike.

    Raises:
        InvalidArgument: the configuration's plan does not keep its budget, the data do not fit it,
            another run holds the folder, or the record there was made with other settings or data.
    """
    results, name = Path(results_dir).expanduser(), config.record_name()
    target, work = results / name, work_folder(results, name)
    if config.dataset in folders.SHAPES:
        folders.check_apart(sets.data_root() if root is None else root, results=results)
    _check_plan(config)
    rule = "'owners' when several processes share the run: one critic has no shards to part"
    several = ranks.size > 1 and LEARNERS[config.privacy.learner].single
    require(not several, "learner", config.privacy.learner, rule, "one process")
    pool = _records(config, root)
    _check_data(config, pool)
    mark = _fingerprint(config, pool)
    # A run that was killed after its record was moved has left its work folder, with the key in it.
    if ranks.decide(target.exists() and not work.exists()):
        return _known(Record(target), config, mark)
    where = usable_device(device)
    with _open_workspace(config, work, mark, ranks) as workspace:
        if not ranks.decide(target.exists()):  # asked again under the lock
            real, test = _split(config, pool, "train", workspace.key, root), None
            if config.evaluated and ranks.first:
                test = _split(config, pool, "test", workspace.key, root)
            del pool  # both parts are copies where the images are one's own
            here = ranks if ranks.size > 1 else Ranks(device=where)
            session = Session(config, real, workspace, here)
            session.train(progress and ranks.first, after_round)
            if ranks.first:
                _write_outcome(session, test, target, fingerprint=mark)
        if ranks.first:
            workspace.remove_key()
            note_key_removed(target)
            workspace.discard()
    ranks.decide(True)  # the others wait for the record
    return _known(Record(target), config, mark)


def _open_workspace(config: ExperimentConfig, work: Path, mark: str, ranks: Ranks) -> Workspace:
    """The first rank's work folder; the others follow its books in memory."""
    if not ranks.first:
        return FollowingWorkspace(ranks.share(None))
    source = config.privacy.noise_source
    workspace = Workspace(work, fingerprint=mark, noise_source=source, seed=config.seed)
    if ranks.size > 1:
        ranks.share(workspace.for_followers())
    return workspace


def _known(record: Record, config: ExperimentConfig, fingerprint: str) -> Record:
    """A record that is there, if it is of these data and settings (a default may have changed)."""
    now, then = config.deciding(), record.config.deciding()
    changed = sorted(name for name in now if now[name] != then[name])
    rule = "that of a record with the same settings"
    require(not changed, "record", f"{record.path.name}, other in {changed}", rule, "deleting it")
    own = config.dataset in folders.SHAPES or config.privacy.noise_source == "secret"
    # Committed records name no fingerprint; their data are public sets, the same everywhere.
    same = record.fingerprint == fingerprint or (record.fingerprint is None and not own)
    rule = "one learned from the data at hand; it was learned from others"
    fix = "another results_dir; what the record released stays released"
    require(same, "record", str(record.path), rule, fix)
    return record


def _records(config: ExperimentConfig, root: Path | None) -> Records:
    """The training records; of one's own folder all files, which a key has yet to put in order."""
    shape = config.image_shape
    if config.dataset in folders.SHAPES:
        folder = (sets.data_root() if root is None else root).expanduser()
        how: dict[str, Any] = {"per_person": config.privacy.images_per_person}
        how |= {"shape": shape, "maximum": config.maximum}
        return folders.load_pool(config.dataset, folder, **how)
    wanted: dict[str, Any] = {"num_records": config.privacy.num_records, "seed": config.seed}
    return sets.load(config.dataset, "train", root=root, image_size=shape[1], **wanted)


def _split(
    config: ExperimentConfig, pool: Records, split: str, key: str, root: Path | None
) -> ImageData:
    """What is trained on, or what is held out, in the order of the slots."""
    training = split == "train"
    if isinstance(pool, folders.Pool):
        order = key if config.privacy.noise_source == "secret" else None
        count = config.privacy.num_records if training else None
        where: dict[str, Any] = {"seed": config.seed, "key": order, "hold_out": config.evaluated}
        return sets.split_pool(pool, split, num_records=count, **where)
    if training:
        return pool
    side = config.image_shape[1]
    if config.dataset == "glyphs":  # drawn, so no more than are asked for
        count = min(config.evaluation.real_records, 10_000)
        return sets.load("glyphs", "test", num_records=count, seed=config.seed, image_size=side)
    return sets.load(config.dataset, "test", root=root, image_size=side)


def _fingerprint(config: ExperimentConfig, pool: Records) -> str:
    """SHA-256 of settings and records; private. Own files count whatever their names and order."""
    records = zip(pool.images.numpy(), pool.labels.numpy(), strict=True)
    marks = [hashlib.sha256(x.tobytes() + y.tobytes()).digest() for x, y in records]
    if config.dataset in folders.SHAPES:
        marks.sort()
    settings = repr(sorted(config.deciding().items())).encode()
    return hashlib.sha256(settings + b"".join(marks)).hexdigest()


def _check_plan(config: ExperimentConfig) -> None:
    """What the groups' own checks do not see: a plan that was changed after it was calibrated."""
    privacy, relation, fix = config.privacy, config.privacy.relation, "a fresh make_config(...)"
    rule = "'replace-one', the relation that the mechanism is proved and stated for"
    require(relation == "replace-one", "relation", relation, rule, fix)
    spent = epsilon_of_events(
        planned_events(config),
        delta=privacy.delta,
        relation=relation,
        accountant=privacy.accountant,
        group_size=privacy.group_size,
    )
    rule = f"enough for epsilon {privacy.epsilon:g}: the planned releases spend {spent:.4f}"
    fits = spent <= privacy.epsilon
    require(fits, "noise_multiplier", privacy.noise_multiplier, rule, fix)


def _check_data(config: ExperimentConfig, pool: Records) -> None:
    """The loaded records must be the ones the accounting is about."""
    own, wanted = config.dataset in folders.SHAPES, config.privacy.num_records
    count = len(pool.images)
    if own:  # of which a subset may be asked for
        count = len(folders.rows_of_split(count, "train", None, hold_out=config.evaluated))
    good, rule = wanted <= count if own else wanted == count, f"the number loaded, {count}"
    require(good, "num_records", wanted, rule, "make_config(..., num_records=None)")
    shape, wanted_shape = tuple(pool.images.shape[1:]), config.image_shape
    rule = f"the shape of the images loaded, {shape}"
    require(shape == wanted_shape, "image_shape", wanted_shape, rule, "a fresh make_config(...)")


def _write_outcome(
    session: Session, test: ImageData | None, target: Path, *, fingerprint: str
) -> Record:
    """Sample, evaluate on `test` and write the record; `fingerprint` is of settings and data."""
    config, trained = session.config, session.seconds
    labels = torch.arange(config.evaluation.synthetic_records) % config.num_classes
    names, released = session.real.class_names, session.trainer.released(session.real.class_names)
    session.trainer.forget()
    if config.evaluated and not _large(config):
        images = session.trainer.sample(labels)
    else:
        images = released.pixels(labels, seed=config.seed)
    started = time.perf_counter()
    metrics: dict[str, Metric] = {}
    if test is not None:
        made = ImageData(f"synthetic-{config.dataset}", images, labels, names)
        settings = config.evaluation.for_side(config.image_shape[1])
        how: dict[str, Any] = {"settings": settings, "seed": config.seed}
        cache = _judges(config, target.parent)
        metrics = evaluate(made, session.real, test, **how, cache_dir=cache)
    metrics |= {
        "training_seconds": round(trained, 1),
        "evaluation_seconds": round(time.perf_counter() - started, 1),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    spent = {name: session.ledger.epsilon(name) for name in ("rdp", "pld")}  # type: ignore[arg-type]
    first = slice(10 * config.num_classes)  # ten of each class
    sheet = sample_sheet(
        to_floats(images[first]),
        labels[first],
        class_names=names,
        title=f"{config.dataset}, {config.method}, delta {delta_text(config.privacy.delta)}, "
        f"epsilon {bound_text(spent['rdp'], 2)} (RDP) / {bound_text(spent['pld'], 2)} (PLD)",
    )
    colors = SHEET_COLORS[config.image_shape[0]]
    run = provenance(session.device)
    privacy = privacy_facts(
        *(config, session.ledger, spent),
        rounds=session.next_round,
        restarts=session.restarts,
        class_names=names,
        num_held_out=len(test.labels) if test and config.dataset in folders.SHAPES else None,
    )
    return write_record(
        target,
        config=config,
        run=run,
        privacy=privacy,
        metrics=metrics,
        history=_thinned(session.public),
        diagnostics=_thinned(session.private),
        samples_png=png_bytes(sheet, colors=colors),
        rounds_png=rounds_sheet(session.snapshots, colors=colors),
        further={GENERATOR_FILE: released.save},
        synthetic={"images": to_bytes(images).numpy(), "labels": labels.numpy()},
        statement=True,
        fingerprint=fingerprint,
    )


def _large(config: ExperimentConfig) -> bool:
    """Whether images are judged as they are handed over, in bytes: floats take four times the memory."""
    return config.dataset in folders.SHAPES and math.prod(config.image_shape) > USUAL_VALUES


def _judges(config: ExperimentConfig, results: Path) -> Path:
    """Models trained on one's own images stay in the private folder; others serve all runs."""
    own = config.dataset in folders.SHAPES
    return results / ".work" / "classifiers" if own else machine_cache()


def _thinned(rows: list[dict[str, float]]) -> pd.DataFrame:
    """At most `MOST_ROWS` rows, the last one among them; a record stays small."""
    import pandas as pd

    step = -(-len(rows) // MOST_ROWS) or 1
    kept = rows[::-1][::step][::-1]
    return pd.DataFrame(kept or None, columns=None if kept else ["round"])
