"""Training without ledger and checkpoints, for audits and the search for settings only."""

from __future__ import annotations

import time

import torch

from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.streams import secret_key
from dpgen_core.training.report import Trainer
from dpgen_core.training.session import TRAINERS, make_prior


def train_alone(config: ExperimentConfig, data: ImageData, *, device: torch.device) -> Trainer:
    """All rounds of `config` without ledger, journal or checkpoints."""
    key = secret_key(config.privacy.noise_source, config.seed)
    prior = make_prior(config, data, key, device=device) if config.prior.modes else None
    trainer = TRAINERS[config.privacy.learner](config, data, key, device=device, prior=prior)
    trainer.warm_up()
    for index in range(config.privacy.rounds):
        trainer.apply(trainer.compute(index))
    return trainer


def sample_alone(
    config: ExperimentConfig, data: ImageData, *, count: int
) -> tuple[ImageData, float]:
    """What a run on one core samples, all classes alike often, and its processor seconds of training.

    Args:
        config: of the run.
        data: its records.
        count: images to sample, >= 1.
    """
    started = time.process_time()
    trainer = train_alone(config, data, device=torch.device("cpu"))
    seconds = time.process_time() - started
    labels = torch.arange(count) % config.num_classes
    images = trainer.sample(labels)
    return ImageData(f"synthetic-{data.name}", images, labels, data.class_names), seconds
