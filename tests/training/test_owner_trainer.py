"""The rounds as a whole: sensitivity along a fixed transcript, hidden coins, accounted noise."""

from __future__ import annotations

import math

import pytest
import torch
from charges import round_event
from scipy import stats

from companion.studies.training_checks import replay_twins
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.training import owner_trainer
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.report import RoundReport

CPU = torch.device("cpu")
ROUNDS = 5


def configure(**changes: object) -> ExperimentConfig:
    values: dict[str, object] = {
        "dataset": "glyphs",
        "method": "efsgd",
        "profile": "smoke",
        "num_records": 300,
        "num_shards": 10,
        "sampling_rate": 0.5,
        "rounds": ROUNDS,
        "generated_batch": 10,
        "critic_steps": 2,
        "reconstruction_weight": 0.5,
    }
    return make_config(**values | changes)  # type: ignore[arg-type]


SETTINGS = [
    {},
    {"critic": "conv", "critic_width": 4},
    {"clip_mode": "per-image", "basis_modes": 28},
    {"classifier_weight": 0.5},
    {"feedback_decay": 1.0, "max_grad_norm": 0.1, "epsilon": 100.0},
]


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_one_record_moves_a_round_by_at_most_2c_and_only_when_its_shard_joins(
    changes: dict[str, object], tiny_glyphs: ImageData
) -> None:
    config = configure(**changes)
    data = ImageData("glyphs", tiny_glyphs.images[:300], tiny_glyphs.labels[:300], ("",) * 10)
    rounding = 1e-5 * (1 + config.privacy.noise_multiplier)  # in units of C, as the gaps are
    twins = replay_twins(config, data)
    assert {joined for joined, _, _ in twins} == {True, False}  # both cases were met
    for joined, gap, same in twins:
        assert same and gap <= (2.0 if joined else 0.0) + rounding
    assert max(gap for _, gap, _ in twins) > 100 * rounding  # the neighbor does differ


def silent_release(config: ExperimentConfig, data: ImageData) -> torch.Tensor:
    """Releases of rounds in which all contributions are zero: noise alone."""
    trainer = OwnerTrainer(config, data, "key", device=CPU)
    return torch.cat(
        [trainer.compute(index).release.flatten() for index in range(config.privacy.rounds)]
    )


@pytest.mark.parametrize("factor", [1.0, 0.97, 1.03])
def test_the_noise_is_the_accounted_one(
    factor: float, tiny_glyphs: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A two-sided chi-squared test accepts the code and rejects noise 3 % off."""
    config = configure(
        adversarial_weight=0.0,
        reconstruction_weight=0.0,
        max_grad_norm=2.0,
        num_records=600,
        rounds=20,
        generated_batch=40,
    )
    event = round_event(config)
    if factor != 1.0:
        true = owner_trainer.sanitize
        monkeypatch.setattr(owner_trainer, "sanitize", lambda v, c, s, g: true(v, c, s * factor, g))
    noise = silent_release(config, tiny_glyphs).double()
    statistic = (
        (noise / (event.noise_multiplier * config.privacy.max_grad_norm)).square().sum().item()
    )
    below = stats.chi2.cdf(statistic, len(noise))
    p_value = 2 * min(below, 1 - below)
    assert p_value > 1e-3 if factor == 1.0 else p_value < 1e-6


def test_every_owner_flips_its_own_coin_at_the_accounted_rate(tiny_glyphs: ImageData) -> None:
    config = configure(sampling_rate=0.3, num_records=600)
    trainer = OwnerTrainer(config, tiny_glyphs, "key", device=CPU)
    draws, owners = 3000, config.privacy.num_shards
    joined = torch.zeros(draws, owners, dtype=torch.float64)
    for index in range(draws):
        joined[index, trainer._join(index, 0)] = 1.0
    rate = round_event(config).sampling_rate
    for count in joined.sum(0).tolist():
        assert stats.binomtest(int(count), draws, rate).pvalue > 1e-4
    # independence: a draw of a fixed number of owners would make the cohort's size constant
    expected = owners * rate * (1 - rate)
    assert joined.sum(1).var().item() == pytest.approx(expected, rel=0.15)
    correlation = torch.corrcoef(joined.T)
    off_diagonal = correlation[~torch.eye(owners, dtype=torch.bool)]
    assert off_diagonal.abs().max().item() < 4.5 / math.sqrt(draws)


def test_another_key_or_attempt_means_other_coins_and_noise(tiny_glyphs: ImageData) -> None:
    config = configure(num_records=600)

    def first_release(key: str, attempt: int) -> torch.Tensor:
        return OwnerTrainer(config, tiny_glyphs, key, device=CPU).compute(0, attempt).release

    base = first_release("key", 0)
    assert torch.equal(base, first_release("key", 0))
    assert not torch.equal(base, first_release("key", 1))
    assert not torch.equal(base, first_release("other", 0))


def test_nothing_public_depends_on_the_records_but_the_release(tiny_glyphs: ImageData) -> None:
    config = configure(num_records=600)
    inverted = ImageData("glyphs", 1 - tiny_glyphs.images, tiny_glyphs.labels.flip(0), ("",) * 10)
    ours, theirs = (OwnerTrainer(config, d, "key", device=CPU) for d in (tiny_glyphs, inverted))
    for trainer in (ours, theirs):
        trainer.warm_up()
    for index in range(2):
        report, other = ours.compute(index), theirs.compute(index)
        assert not torch.equal(report.release, other.release)
        assert torch.equal(ours._codes, theirs._codes)  # latents, labels, generator
        for name in ("round", "noise_norm_expected", "reconstruction_weight"):
            assert report.public[name] == other.public[name]
        ours.apply(report)
        theirs.apply(RoundReport(report.release, other.public, other.private))
    labels = torch.arange(20) % 10
    assert torch.equal(ours.sample(labels), theirs.sample(labels))


def test_the_generator_waits_for_apply(tiny_glyphs: ImageData) -> None:
    trainer = OwnerTrainer(configure(num_records=600), tiny_glyphs, "key", device=CPU)
    before = [p.clone() for p in trainer.generator.parameters()]
    report = trainer.compute(0)
    after = list(trainer.generator.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    trainer.apply(report)
    assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_what_came_from_the_records_is_gone_before_sampling(tiny_glyphs: ImageData) -> None:
    trainer = OwnerTrainer(configure(), tiny_glyphs, "key", device=CPU)
    trainer.apply(trainer.compute(0))
    labels = torch.arange(10)
    before = trainer.sample(labels)
    trainer.forget()
    assert not {"ensemble", "memory"} & set(vars(trainer))
    assert torch.equal(before, trainer.sample(labels))


def test_an_empty_round_releases_noise_and_changes_no_owner(tiny_glyphs: ImageData) -> None:
    config = configure(num_records=600, sampling_rate=1e-9)
    trainer = OwnerTrainer(config, tiny_glyphs, "key", device=CPU)
    before = {name: value.clone() for name, value in trainer.ensemble.params.items()}
    report = trainer.compute(0)
    trainer.apply(report)
    assert report.private["joined"] == 0 and report.release.norm() > 0
    assert all(torch.equal(trainer.ensemble.params[n], v) for n, v in before.items())
