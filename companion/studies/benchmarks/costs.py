"""Probes that the cost model (`cost_model`) is fitted to, and whole runs that test it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch

from companion.studies import cost_model
from companion.studies.cost_model import CostModel, Work, matmul_rate
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.metrics import EvaluationSettings, evaluate
from dpgen_core.experiment import run_experiment
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.session import make_prior

ROUNDS, WARM_UP = 5, 2
GRAY, COLOR = (1, 28, 28), (3, 32, 32)
# One setting varies at a time, far enough to show its cost.
PROBES: tuple[tuple[tuple[int, int, int], str, dict[str, Any]], ...] = (
    (GRAY, "efsgd", {}),
    (GRAY, "efsgd", {"num_shards": 200}),
    (GRAY, "efsgd", {"num_shards": 4000}),
    (GRAY, "efsgd", {"generated_batch": 200}),
    (GRAY, "efsgd", {"critic_steps": 1}),
    (GRAY, "efsgd", {"critic_steps": 1, "fake_pool": 1280, "generator_width": 32}),
    (GRAY, "efsgd", {"critic_width": 128}),
    (GRAY, "efsgd", {"basis_modes": 28}),
    (GRAY, "efsgd-prior", {}),
    (COLOR, "efsgd", {}),
    (COLOR, "efsgd", {"num_shards": 200}),
    (COLOR, "efsgd-prior", {"critic_steps": 2}),
    (GRAY, "efsgd", {"critic": "conv", "critic_width": 8, "critic_steps": 2}),
    (GRAY, "efsgd", {"critic": "conv", "critic_width": 32, "num_shards": 100}),
    (COLOR, "efsgd", {"critic": "conv", "critic_width": 16, "num_shards": 200, "critic_steps": 2}),
)
EVALUATIONS = ((GRAY, 1_000, 2), (GRAY, 4_000, 2), (GRAY, 1_000, 8), (COLOR, 2_000, 3))
_MADE = {"dataset": "glyphs", "num_records": 20_000}
# Whole runs that are not fitted, much longer than the probes. The last needs MNIST on disk.
RUNS: tuple[dict[str, Any], ...] = (
    _MADE | {"method": "efsgd", "rounds": 100, "synthetic_records": 4_000},
    _MADE | {"method": "efsgd-prior", "rounds": 30, "num_shards": 2000, "synthetic_records": 2_000},
    _MADE
    | {"method": "efsgd", "rounds": 20, "critic": "conv", "critic_width": 8, "num_shards": 300},
    {"dataset": "mnist", "method": "efsgd"},
)


def measure() -> dict[str, Any]:
    """Probes, the fit, and its accuracy on whole runs."""
    cores = os.cpu_count() or 1
    found = [*_trainings(), *_evaluations()]
    rate = matmul_rate(cores)
    model = CostModel.fit([(work, seconds) for _, work, seconds in found], rate=rate)
    return {
        "seconds": dict(model.seconds),
        "matmul_rate": rate,
        "probes": [
            {"probe": name, "seconds": seconds, "fitted": model.predict(work)}
            for name, work, seconds in found
        ],
        "runs": [whole_run(settings, model) for settings in RUNS if _at_hand(settings)],
    }


def whole_run(settings: dict[str, Any], model: CostModel) -> dict[str, Any]:
    """Predicted and measured seconds of one run from configuration to record, and its g2r."""
    config = make_config(**settings)
    expected = cost_model.forecast(config, model)
    assert expected is not None
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        record = run_experiment(config, results_dir=folder, progress=False)
        seconds = time.perf_counter() - started
        metrics = record.metrics  # read before the folder is deleted
    row = {
        "run": _named(settings),
        "predicted": 60 * expected.minutes,
        "measured": seconds,
        "training_seconds": metrics["training_seconds"],
        "g2r_cnn": metrics["g2r_cnn"],
    }
    print(row, flush=True)
    return row


def _at_hand(settings: dict[str, Any]) -> bool:
    try:
        load(settings["dataset"], "test", num_records=10)
    except FileNotFoundError:
        return False
    return True


def _trainings() -> Iterator[tuple[str, Work, float]]:
    for shape, method, settings in PROBES:
        config = _config(shape, method, settings)
        records = _noise_images(config.privacy.num_records, shape)
        device = torch.device("cpu")
        prior = make_prior(config, records, "key", device=device) if config.prior.modes else None
        trainer = OwnerTrainer(config, records, "key", device=device, prior=prior)
        name = f"{method}, {'x'.join(map(str, shape))}, {_named(settings)}"
        started = time.perf_counter()
        trainer.warm_up()
        seconds = time.perf_counter() - started
        yield f"{name}: warm-up", cost_model.warm_up_work(trainer), seconds
        times = []
        for index in range(ROUNDS):
            started = time.perf_counter()
            trainer.apply(trainer.compute(index))
            times.append(time.perf_counter() - started)
        print(name, round(seconds, 2), round(median(times), 3), flush=True)
        yield f"{name}: round", cost_model.round_work(trainer), median(times)


def _evaluations() -> Iterator[tuple[str, Work, float]]:
    for shape, count, epochs in EVALUATIONS:
        sizes: dict[str, Any] = {
            "synthetic_records": count,
            "real_records": count,
            "classifier_epochs": epochs,
        }
        config = _config(shape, "gaussian", {}).replace(**sizes, num_records=count)
        made, real, test = (_noise_images(count, shape) for _ in range(3))
        started = time.perf_counter()
        evaluate(made, real, test, settings=EvaluationSettings(**sizes), seed=0)
        seconds = time.perf_counter() - started
        name = f"evaluation, {'x'.join(map(str, shape))}, {_named(sizes)}"
        print(name, round(seconds, 2), flush=True)
        yield name, cost_model.evaluation_work(config), seconds


def _config(shape: tuple[int, int, int], method: str, settings: dict[str, Any]) -> ExperimentConfig:
    shards = settings.get("num_shards", 1000)
    config = make_config(
        dataset="glyphs",
        method=method,
        num_records=10 * shards,
        critic_warmup_steps=WARM_UP,
        **settings,
    )
    return config.replace(image_shape=shape)


def _noise_images(count: int, shape: tuple[int, int, int]) -> ImageData:
    labels = torch.arange(count) % 10
    return ImageData("noise", torch.rand(count, *shape), labels, tuple("0123456789"))


def _named(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "quick"
