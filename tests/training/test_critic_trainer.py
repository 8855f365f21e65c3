"""One critic under DP-SGD or EFSGD: per-record gradients, clip, blocks, and what is charged."""

from __future__ import annotations

import dataclasses
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from charges import round_events
from torch.nn import functional as F

from companion.studies.train_alone import train_alone
from dpgen_core import experiment as outcome
from dpgen_core.accounting import epsilon_of_events
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import REFINED
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.experiment import run_experiment
from dpgen_core.prior.gaussian import prior_events
from dpgen_core.training.critic_trainer import CriticTrainer
from dpgen_core.training.session import TRAINERS

CPU = torch.device("cpu")
METHODS = ("dp-sgd-critic", "efsgd-critic")


def configure(method: str, **changes: object) -> ExperimentConfig:
    settings = {"num_records": 600, "sampling_rate": 0.05, "rounds": 45} | changes
    return make_config(dataset="glyphs", method=method, profile="smoke", **settings)


def trainer(config: ExperimentConfig, data: ImageData, key: str = "key") -> CriticTrainer:
    made = TRAINERS[config.privacy.learner](config, data, key, device=CPU)
    assert isinstance(made, CriticTrainer)
    return made


def test_gradients_are_those_of_single_records(tiny_glyphs: ImageData) -> None:
    made = trainer(configure("dp-sgd-critic"), tiny_glyphs)
    rows = torch.tensor([3, 0, 77])
    together = made._gradients(rows)
    for row, gradient in zip(rows.tolist(), together, strict=True):
        score = made._score(made._codes[[row]], made._labels[[row]])
        alone = torch.autograd.grad(F.softplus(-score).sum(), made._weights)
        torch.testing.assert_close(gradient, torch.cat([g.flatten() for g in alone]))


def test_one_record_moves_the_sum_by_twice_the_clip_at_most(tiny_glyphs: ImageData) -> None:
    """With one key, noise and coins cancel, and only the joining record's share is left."""
    config = configure("dp-sgd-critic", max_grad_norm=0.01)
    mine = trainer(config, tiny_glyphs)
    row = int(mine._join(0, 0)[0])
    images = tiny_glyphs.images.clone()
    images[row] = 1 - images[row]
    theirs = trainer(config, dataclasses.replace(tiny_glyphs, images=images))
    gap = (mine.compute(0).release - theirs.compute(0).release).norm()
    assert 0 < gap <= 2 * config.privacy.max_grad_norm
    other = int((~torch.isin(torch.arange(600), mine._join(0, 0))).nonzero()[0])
    images = tiny_glyphs.images.clone()
    images[other] = 1 - images[other]
    same = trainer(config, dataclasses.replace(tiny_glyphs, images=images))
    assert torch.equal(mine.compute(0).release, same.compute(0).release)


@pytest.mark.parametrize("method", METHODS)
def test_noise_has_the_scale_of_the_configuration(method: str, tiny_glyphs: ImageData) -> None:
    config = configure(method, max_grad_norm=1e-9)
    release = trainer(config, tiny_glyphs).compute(0).release
    expected = config.privacy.noise_multiplier * 1e-9 * release.numel() ** 0.5
    assert float(release.norm()) == pytest.approx(expected, rel=0.02)


def test_records_join_by_their_own_hidden_coins(tiny_glyphs: ImageData) -> None:
    made = trainer(configure("dp-sgd-critic"), tiny_glyphs)
    sizes = [len(made._join(index, 0)) for index in range(200)]
    assert np.mean(sizes) == pytest.approx(30, abs=1.5)
    assert np.var(sizes) == pytest.approx(600 * 0.05 * 0.95, rel=0.35)
    other = trainer(configure("dp-sgd-critic"), tiny_glyphs, key="another")
    assert not torch.equal(made._join(0, 0), other._join(0, 0))


def test_efsgd_uses_every_record_once_an_epoch(tiny_glyphs: ImageData) -> None:
    made = trainer(configure("efsgd-critic"), tiny_glyphs)
    for epoch in range(2):
        seen = torch.cat([made._join(20 * epoch + block, 0) for block in range(20)])
        assert sorted(seen.tolist()) == list(range(600))


@pytest.mark.parametrize("method", METHODS)
def test_the_records_are_gone_before_sampling(method: str, tiny_glyphs: ImageData) -> None:
    learner = trainer(configure(method), tiny_glyphs)
    learner.apply(learner.compute(0))
    before = learner.sample(torch.arange(10))
    learner.forget()
    assert not {"_codes", "_labels", "_optimizers", "feedback"} & set(vars(learner))
    assert torch.equal(before, learner.sample(torch.arange(10)))


@pytest.mark.parametrize("method", METHODS)
def test_a_reader_of_the_log_is_not_warned_of_hooks(method: str, tiny_glyphs: ImageData) -> None:
    made = trainer(configure(method, critic_steps=1), tiny_glyphs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.apply(made.compute(0))


def test_a_kept_pool_is_drawn_once_for_each_step_of_the_generator(tiny_glyphs: ImageData) -> None:
    made = trainer(configure("dp-sgd-critic", critic_steps=3, keep_pool=True), tiny_glyphs)
    pools = []
    for index in range(7):
        pools.append(made._pool_of(index)[0])
        made.apply(made.compute(index))
    assert [torch.equal(a, b) for a, b in pairwise(pools)] == [True, True, False] * 2
    anew = trainer(configure("dp-sgd-critic", critic_steps=3), tiny_glyphs)
    assert not torch.equal(anew._pool_of(0)[0], anew._pool_of(1)[0])
    with pytest.raises(InvalidArgument, match="keep_pool"):
        configure("efsgd", keep_pool=True)


def test_training_alone_trains_the_learner_that_is_named(tiny_glyphs: ImageData) -> None:
    config = configure("dp-sgd-critic", rounds=2, critic_steps=1)
    assert isinstance(train_alone(config, tiny_glyphs, device=CPU), CriticTrainer)


@pytest.mark.parametrize("method", (*METHODS, REFINED))
def test_the_whole_run_spends_its_budget_and_no_more(method: str) -> None:
    config = configure(method, epsilon=3.0)
    events = [e for index in range(config.privacy.rounds) for e in round_events(config, index, 0)]
    if config.prior.modes:
        events += prior_events(config.privacy.prior_noise_multiplier, config.prior.num_cells)
    spent = epsilon_of_events(events, delta=1e-5, relation="replace-one", accountant="rdp")
    assert 2.99 < spent <= 3.0


def test_efsgd_is_charged_before_its_first_step_and_for_every_participation() -> None:
    config = configure("efsgd-critic")
    assert round_events(config, 1, 0) == ()
    (whole,) = round_events(config, 0, 0)
    assert round_events(config, 7, 1) == (whole,)
    # Three epochs of blocks: 45 steps of 20 blocks. The memory has its price.
    direct, memory = 3**0.5 * 2, 3 * 2 * 0.1
    assert whole.noise_multiplier == pytest.approx(
        config.privacy.noise_multiplier / (direct + memory)
    )
    off = configure("efsgd-critic/no-error-feedback")
    (plain,) = round_events(off, 0, 0)
    assert plain.noise_multiplier == pytest.approx(off.privacy.noise_multiplier / direct)


def test_a_memory_on_the_server_is_for_seeded_noise_only() -> None:
    with pytest.raises(InvalidArgument, match="research only"):
        configure("efsgd-critic", noise_source="secret")


class _Killed(Exception):
    pass


@pytest.mark.parametrize("method", (*METHODS, REFINED))
def test_a_killed_run_ends_as_if_it_had_not_been(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "evaluate", lambda *arguments, **keywords: {})
    # Four steps share a kept pool, so the checkpoint after the tenth lies in the middle of one.
    changes = {"rounds": 24, "checkpoint_every": 5, "critic_steps": 4, "synthetic_records": 40}
    config = configure(method, **changes)

    def kill(done: int) -> None:
        if done == 13:
            raise _Killed

    whole = run_experiment(config, results_dir=tmp_path / "a", progress=False)
    with pytest.raises(_Killed):
        run_experiment(config, results_dir=tmp_path / "b", progress=False, after_round=kill)
    resumed = run_experiment(config, results_dir=tmp_path / "b", progress=False)
    with (
        np.load(whole.path / "synthetic.npz") as one,
        np.load(resumed.path / "synthetic.npz") as two,
    ):
        assert np.array_equal(one["images"], two["images"])
    assert resumed.privacy["epsilon"] == whole.privacy["epsilon"]
    assert resumed.privacy["restarts"] == 1


def test_a_step_of_efsgd_repeated_under_fresh_noise_passes_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "evaluate", lambda *arguments, **keywords: {})
    config = configure("efsgd-critic", rounds=8, checkpoint_every=100, synthetic_records=40)

    def kill(done: int) -> None:
        if done == 4:
            raise _Killed

    with pytest.raises(_Killed):
        run_experiment(config, results_dir=tmp_path, progress=False, after_round=kill)
    honest = CriticTrainer.compute

    def inexact(self: CriticTrainer, index: int, attempt: int = 0):
        report = honest(self, index, attempt)
        return dataclasses.replace(report, release=report.release + 1e-6)

    monkeypatch.setattr(CriticTrainer, "compute", inexact)
    record = run_experiment(config, results_dir=tmp_path, progress=False)
    assert record.privacy["rounds"] == 0
    assert record.privacy["epsilon"]["rdp"] <= config.privacy.epsilon
