"""What the rounds of a configuration are charged, for tests that compare it with what happens."""

from __future__ import annotations

from dpgen_core.accounting import SampledGaussianEvent
from dpgen_core.accounting.events import Event
from dpgen_core.config.budget import LEARNERS
from dpgen_core.config.schema import ExperimentConfig


def round_event(config: ExperimentConfig) -> SampledGaussianEvent:
    """The charge of one round whose contributors join by coins."""
    (event,) = round_events(config, 0, 0)
    assert isinstance(event, SampledGaussianEvent)
    return event


def round_events(config: ExperimentConfig, index: int, attempt: int) -> tuple[Event, ...]:
    """The charge of round `index`, if it has one."""
    event = LEARNERS[config.privacy.learner].event(config, index, attempt)
    return () if event is None else (event,)
