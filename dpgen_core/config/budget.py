"""How a budget is shared out, and what each kind of learner is charged.

A *learner* is who contributes to a round. `LEARNERS` has one entry per kind: what it may be set to,
what a round costs, how a statement describes it. `calibrated` makes the planned releases spend the
budget and no more. Everything here is computed from public figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from dpgen_core import accounting
from dpgen_core.accounting.events import Event, SampledGaussianEvent
from dpgen_core.accounting.pld import smallest_delta
from dpgen_core.checks import require
from dpgen_core.config.presets import DEFAULT_DELTA
from dpgen_core.mechanism.server_memory import server_event
from dpgen_core.prior.gaussian import prior_events
from dpgen_core.prior.mixture import affordable_cells

if TYPE_CHECKING:  # `schema` asks `LEARNERS` for the names it allows
    from dpgen_core.config.schema import ExperimentConfig

_SHARE, _SMALL_BUDGET_SHARE = 0.8, 0.95  # of the prior, where `prior_share` is None


class Learner(Protocol):
    """Who contributes to a round, what that costs, and how a statement describes it."""

    mechanism: str  #: one line for ``privacy.json``
    single: bool  #: one critic learns, in one process, and every record is its own contributor

    def check(self, config: ExperimentConfig) -> None:
        """Refuse settings that this kind cannot run or account for."""

    def noise(self, config: ExperimentConfig) -> float:
        """Least noise multiplier with which the rounds spend what the prior leaves."""

    def event(self, config: ExperimentConfig, index: int, attempt: int) -> Event | None:
        """The charge for round `index`; None where an earlier charge covers it."""

    def sentence(self, privacy: Mapping[str, Any]) -> str:
        """Who joins a round and what is added, from a record's ``privacy.json``."""


class _Sampled:
    """Contributors join by hidden coins: one sampled Gaussian a round."""

    def __init__(self, *, single: bool, mechanism: str, who: str) -> None:
        self.single, self.mechanism, self._who = single, mechanism, who

    def check(self, config: ExperimentConfig) -> None:
        delta, rounds = config.privacy.delta, config.privacy.rounds
        low = smallest_delta(rounds)
        rule = f"at least {low}: composing the rounds is not exact below that"
        require(delta >= low or not rounds, "delta", delta, rule, f"delta={DEFAULT_DELTA:g}")
        if not self.single:
            rule = "off for owners: a round of theirs is a step of the generator and has one pool"
            require(not config.critic.keep_pool, "keep_pool", True, rule, "learner='dp-sgd'")

    def noise(self, config: ExperimentConfig) -> float:
        privacy = config.privacy
        setting = _target(config) | {"other_events": events_of_prior(config)}
        rate, rounds = privacy.sampling_rate, privacy.rounds
        return accounting.calibrate_noise(sampling_rate=rate, rounds=rounds, **setting)

    def event(self, config: ExperimentConfig, index: int, attempt: int) -> Event | None:
        privacy = config.privacy
        return SampledGaussianEvent("rounds", privacy.noise_multiplier, privacy.sampling_rate)

    def sentence(self, privacy: Mapping[str, Any]) -> str:
        who, rate = self._who.format_map(privacy), privacy["sampling_rate"]
        return f"{who} joins with probability {rate:g} by its own hidden coin, and adds"


class _PublicBlocks:
    """Public blocks of records and a memory on the server: the whole run is one Gaussian release.

    A step repeated under fresh noise is one participation more than was charged. It is charged as a
    whole new run, which no budget holds.
    """

    single = True
    mechanism = (
        "EFSGD: public blocks of records, clipped gradients of one critic and a clipped memory "
        "of what was cut off, Gaussian noise"
    )

    def check(self, config: ExperimentConfig) -> None:
        source = config.privacy.noise_source
        rule = "'seeded' for learner='efsgd', whose noise is no secret stream: for research only"
        require(source == "seeded", "noise_source", source, rule, "learner='dp-sgd'")
        if config.privacy.rounds:
            share = share_of_prior(config)
            require(not share, "prior_share", share, "0 with learner='efsgd'", "learner='dp-sgd'")

    def noise(self, config: ExperimentConfig) -> float:
        # The noise of the whole run's Gaussian is proportional to sigma.
        unit = self._whole_run(config.replace(noise_multiplier=1.0))
        return accounting.calibrate_gaussian(**_target(config)) / unit.noise_multiplier

    def event(self, config: ExperimentConfig, index: int, attempt: int) -> Event | None:
        return None if index and not attempt else self._whole_run(config)

    def sentence(self, privacy: Mapping[str, Any]) -> str:
        return (
            "the records of the next public block add, beside a clipped memory of what was cut "
            "off before, which the ledger's one release covers,"
        )

    def _whole_run(self, config: ExperimentConfig) -> Event:
        names = ("noise_multiplier", "num_records", "sampling_rate", "rounds", "max_grad_norm")
        setting = {name: getattr(config.privacy, name) for name in names}
        return server_event(**setting, memory=config.contribution.feedback_decay > 0)


LEARNERS: Mapping[str, Learner] = {
    "owners": _Sampled(
        single=False,
        mechanism="Poisson-sampled owners of disjoint shards, clipped contributions, Gaussian noise",
        who="each of {num_shards} owners of disjoint shards",
    ),
    "dp-sgd": _Sampled(
        single=True,
        mechanism="DP-SGD: Poisson-sampled records, clipped gradients of one critic, "
        "Gaussian noise",
        who="each record",
    ),
    "efsgd": _PublicBlocks(),
}


def calibrated(config: ExperimentConfig) -> ExperimentConfig:
    """`config` with the prior's share and cells settled, and noise that spends the budget.

    Raises:
        InvalidArgument: the prior leaves nothing to the rounds, or the budget cannot be met.
    """
    config = config.replace(prior_share=_settled_share(config))
    config = config.replace(prior_noise_multiplier=_noise_of_prior(config))
    config = config.replace(prior_cells=_settled_cells(config))
    if not config.privacy.rounds:
        return config
    share = share_of_prior(config)
    require(share < 1.0, "prior_share", share, "< 1 when rounds > 0", "0.5")
    return config.replace(noise_multiplier=LEARNERS[config.privacy.learner].noise(config))


def events_of_prior(config: ExperimentConfig) -> tuple[Event, ...]:
    """The ledger events of the prior's releases; none without a prior."""
    noise = config.privacy.prior_noise_multiplier
    return prior_events(noise, config.prior.num_cells) if noise else ()


def planned_events(config: ExperimentConfig) -> tuple[Event, ...]:
    """Everything that a run of `config` will be charged if nothing goes wrong."""
    events, rounds = list(events_of_prior(config)), config.privacy.rounds
    if rounds:
        event = LEARNERS[config.privacy.learner].event
        first, later = event(config, 0, 0), event(config, 1, 0)
        assert first is not None
        events.append(first if later is None else replace(first, count=rounds))
    return tuple(events)


def share_of_prior(config: ExperimentConfig) -> float:
    """Share of the budget that the prior spends; 0 without one."""
    return (config.prior.budget_share or 0.0) if config.prior.modes else 0.0


def _settled_share(config: ExperimentConfig) -> float:
    """The share asked for, or one that depends on the budget.

    Where the usual share pays for one cell per class only, the rounds' gradients are far below
    their noise: the rounds then get a twentieth. On held-out MNIST (`results/tuning.csv`) the two
    shares gave the same accuracy at such a budget. Ours.
    """
    if config.prior.budget_share is not None:
        return config.prior.budget_share
    if not config.prior.modes:
        return 0.0
    usual = config.replace(prior_share=_SHARE, prior_cells=None)
    usual = usual.replace(prior_noise_multiplier=_noise_of_prior(usual))
    return _SHARE if _settled_cells(usual) > 1 else _SMALL_BUDGET_SHARE


def _noise_of_prior(config: ExperimentConfig) -> float:
    share = share_of_prior(config)
    return accounting.calibrate_gaussian(**_target(config)) / math.sqrt(share) if share else 0.0


def _settled_cells(config: ExperimentConfig) -> int:
    """The cells per class asked for, or as many as the budget carries."""
    prior, noise = config.prior, config.privacy.prior_noise_multiplier
    if prior.cells is not None or not noise:
        return prior.num_cells
    class_records = config.privacy.num_records / config.num_classes
    directions = min(prior.directions, config.image_shape[0] * prior.modes**2)
    return affordable_cells(noise, class_records=class_records, directions=directions)


def _target(config: ExperimentConfig) -> dict[str, Any]:
    privacy = config.privacy
    setting: dict[str, Any] = {"delta": privacy.delta, "relation": privacy.relation}
    setting["group_size"] = privacy.group_size
    return setting | {"target_epsilon": privacy.epsilon, "accountant": privacy.accountant}
