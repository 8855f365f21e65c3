"""The end of a run: sample, evaluate, and write the record."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from dpgen_core import data as datasets
from dpgen_core.accounting import Ledger, bound_text
from dpgen_core.config import ExperimentConfig
from dpgen_core.data import ImageData
from dpgen_core.figures import png_bytes, sample_sheet
from dpgen_core.generation import PublicSide
from dpgen_core.metrics import EvaluationSettings, evaluate
from dpgen_core.provenance import provenance
from dpgen_core.record import Record, write_record
from dpgen_core.statement import privacy_statement

SNAPSHOT_IMAGES = 20  # per checkpoint, from the same latents, to show how training went
MOST_ROWS = 1000  # of history.csv and diagnostics.csv
SHEET_COLORS = {1: 32, 3: None}  # palette of the sample sheet by channels: a record stays small
OUTSIDE_GUARANTEE = (
    "metrics.json and diagnostics.csv are computed from private records or private state",
    "choosing settings by looking at results on the same records spends budget nobody charged",
    "several records of one person are protected one by one, not together",
    "other releases from the same records, such as a second run, add to what this one reveals",
)


@dataclass(frozen=True)
class FinishedRun:
    """What training leaves.

    Attributes:
        config: of the run.
        real: the private records, for metrics.
        trainer: holds the generator.
        ledger: what was charged.
        device: where it trained.
        public: figures per round inside the guarantee.
        private: figures per round outside it.
        snapshots: images of the same latents by rounds done, uint8.
        rounds: rounds done.
        restarts: how often the run was resumed.
        seconds: training time, all restarts together.
    """

    config: ExperimentConfig
    real: ImageData
    trainer: PublicSide
    ledger: Ledger
    device: torch.device
    public: list[dict[str, float]]
    private: list[dict[str, float]]
    snapshots: dict[int, Tensor]
    rounds: int
    restarts: int
    seconds: float


def write_outcome(
    finished: FinishedRun, target: Path, root: Path | None, *, fingerprint: str
) -> Record:
    """Sample, evaluate and write the record; `fingerprint` identifies settings and data."""
    config, trainer = finished.config, finished.trainer
    count = config.synthetic_records
    labels = torch.arange(count) % config.num_classes
    images = trainer.sample(labels)
    names = finished.real.class_names
    synthetic = ImageData(f"synthetic-{config.dataset}", images, labels, names)
    started = time.perf_counter()
    metrics = evaluate(
        synthetic,
        finished.real,
        _test_split(config, root),
        settings=EvaluationSettings(
            synthetic_records=count,
            real_records=config.real_records,
            classifier_epochs=config.classifier_epochs,
        ),
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
        title=f"{config.dataset}, {config.method}, delta {config.delta:g}, "
        f"epsilon {bound_text(spent['rdp'], 2)} (RDP) / {bound_text(spent['pld'], 2)} (PLD)",
    )
    colors = SHEET_COLORS[config.image_shape[0]]
    history, private = _thinned(finished.public), _thinned(finished.private)
    run, privacy = provenance(finished.device), _privacy(finished, spent)
    return write_record(
        target,
        config=config,
        run=run,
        privacy=privacy,
        metrics=metrics,
        history=history,
        diagnostics=private,
        samples_png=png_bytes(sheet, colors=colors),
        rounds_png=_rounds_png(finished.snapshots, colors),
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


def to_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8."""
    return (images * 255).round().to(torch.uint8)


def _rounds_png(snapshots: dict[int, Tensor], colors: int | None) -> bytes | None:
    """The same latents after ever more rounds, one row each; None for a method without rounds."""
    if not snapshots:
        return None
    images = torch.cat([snapshots[n] for n in sorted(snapshots)]).float() / 255
    rows = torch.arange(len(snapshots)).repeat_interleave(SNAPSHOT_IMAGES)
    names = [f"{n} rounds" for n in sorted(snapshots)]
    sheet = sample_sheet(images, rows, per_class=SNAPSHOT_IMAGES, class_names=names)
    return png_bytes(sheet, colors=colors)


def _mechanism(config: ExperimentConfig) -> str:
    """What was released, in words."""
    prior = (
        "class statistics in the frequency domain, with Gaussian noise"
        if config.prior_modes
        else ""
    )
    rounds = {
        "owners": "Poisson-sampled shards, clipped contributions, Gaussian noise",
        "dp-sgd": "DP-SGD: Poisson-sampled records, clipped gradients of one critic, Gaussian noise",
        "efsgd": "EFSGD: public blocks of records, clipped gradients of one critic and a clipped memory "
        "of what was cut off, Gaussian noise",
    }[config.learner]
    return "; ".join(part for part in (prior, rounds if config.rounds else "") if part)


def _test_split(config: ExperimentConfig, root: Path | None) -> ImageData:
    """The real test split, or `real_records` of it where that is fewer (glyphs are drawn)."""
    if config.dataset == "glyphs":
        count = min(config.real_records, 10_000)
        return datasets.load("glyphs", "test", num_records=count, seed=config.seed)
    return datasets.load(config.dataset, "test", root=root)


def _privacy(finished: FinishedRun, spent: dict[str, float]) -> dict[str, Any]:
    config = finished.config
    releasable = config.noise_source == "secret"
    return {
        "mechanism": _mechanism(config),
        "unit": "one image with its label",
        "relation": config.relation,
        "num_records": config.num_records,
        "delta": config.delta,
        "target_epsilon": config.epsilon,
        "epsilon": spent,
        "accountant": config.accountant,
        "num_shards": config.num_shards,
        "sampling_rate": config.sampling_rate,
        "rounds": finished.rounds,
        "planned_rounds": config.rounds,
        "max_grad_norm": config.max_grad_norm,
        "noise_multiplier": config.noise_multiplier,
        "prior_noise_multiplier": config.prior_noise_multiplier,
        "ledger": finished.ledger.to_dict(),
        "restarts": finished.restarts,
        "noise_source": config.noise_source,
        "releasable": releasable,
        "why_not_releasable": None
        if releasable
        else "the noise follows from the public seed, so it can be subtracted; fit for public data "
        "and reproduction only. Use noise_source='secret' for a private release.",
        "outside_the_guarantee": list(OUTSIDE_GUARANTEE),
    }
