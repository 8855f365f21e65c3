"""The cost model: what it counts, how it is fitted, and where it gives no forecast."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from companion.studies import cost_model
from companion.studies.cost_model import WORK, CostModel
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import load
from dpgen_core.training.owner_trainer import OwnerTrainer

RATE = 1e11
MODEL = CostModel(dict.fromkeys(WORK, 1.0), RATE)


def config(method: str = "efsgd", **settings: object) -> ExperimentConfig:
    shared: dict[str, Any] = {"dataset": "glyphs", "profile": "smoke"} | settings
    return make_config(method=method, **shared)


def of_a_round(**settings: object) -> cost_model.Work:
    run = config(**settings)
    return cost_model.round_work(cost_model.public_side(run))


def test_operations_are_those_of_the_layers() -> None:
    run = config(critic_width=16, generator_width=4)
    public = cost_model.public_side(run)
    dim = run.contribution.basis_modes**2
    by_hand = 2 * (dim * 16 + 16 * 16)  # two matrix products; embeddings cost nothing
    assert cost_model.critic_operations(public) == pytest.approx(by_hand / 1e9)
    side, width = 28, 4
    convolutions = 9 * (
        4 * 2 * width**2 * (side // 2) ** 2 + 2 * width**2 * side**2 + width * side**2
    )
    projection = (run.generator.latent_dim + 10) * 4 * width * (side // 4) ** 2
    made = cost_model.generator_operations(public)
    assert made == pytest.approx(2 * (convolutions + projection) / 1e9)


@pytest.mark.parametrize("setting", ["num_shards", "sampling_rate"])
def test_twice_the_cohort_is_twice_the_owners_work_and_no_more_images(setting: str) -> None:
    once = of_a_round(num_shards=100, sampling_rate=0.1)
    larger = {"num_shards": 100, "sampling_rate": 0.1}
    larger[setting] *= 2
    twice = of_a_round(**larger)
    for name in ("mlp", "state", "contributions"):
        assert twice[name] == pytest.approx(2 * once[name])
    assert twice["images"] == once["images"] and twice["rounds"] == once["rounds"] == 1


def test_a_critic_step_has_about_the_operations_that_are_counted() -> None:
    """Against torch's count; the gradient of an MLP critic shares some products."""
    run = config(critic_width=32)
    data = load("glyphs", "train", num_records=run.privacy.num_records, seed=0)
    trainer = OwnerTrainer(run, data, "key", device=torch.device("cpu"))
    pool, labels = trainer.pool(0)
    joined = torch.arange(30)
    with FlopCounterMode(display=False) as counter:
        trainer.ensemble.train(joined, pool, labels, steps=3, round_index=0)
    one = cost_model.STEP_PASSES * run.critic.batch_size * cost_model.critic_operations(trainer)
    done = counter.get_total_flops() / 1e9 / (len(joined) * 3 * one)
    assert 2 / 3 < done <= 1


def test_the_fit_finds_what_made_the_probes() -> None:
    true = {"mlp": 0.02, "images": 0.5, "rounds": 0.0}
    works = [
        {"mlp": 100.0, "images": 1.0, "rounds": 1.0},
        {"mlp": 1.0, "images": 4.0, "rounds": 5.0},
        {"mlp": 30.0, "images": 0.0, "rounds": 2.0},
        {"images": 3.0},
    ]
    probes = [(w, sum(true[name] * amount for name, amount in w.items())) for w in works]
    model = CostModel.fit(probes, rate=RATE)
    assert dict(model.seconds) == pytest.approx(true, abs=1e-9)
    assert all(model.predict(work) == pytest.approx(seconds) for work, seconds in probes)
    hopeless = [({"mlp": 1.0, "images": 1.0}, 1.0), ({"mlp": 1.0, "images": 2.0}, 0.5)]
    assert min(CostModel.fit(hopeless, rate=RATE).seconds.values()) == 0  # not below


def test_a_machine_of_half_the_rate_takes_twice_as_long() -> None:
    run = config("efsgd-prior")
    here, there = cost_model.forecast(run, MODEL), cost_model.forecast(run, MODEL, rate=RATE / 2)
    assert here is not None and there is not None
    assert there.training == pytest.approx(2 * here.training) and here.training > 0
    assert there.minutes == pytest.approx(2 * here.minutes)
    assert str(here) == f"about {here.minutes:.1f} minutes: {here.training / 60:.1f} to train, " + (
        f"{here.evaluation / 60:.1f} to evaluate"
    )


def test_rounds_and_warm_up_are_all_of_training() -> None:
    run = config(rounds=7, critic_warmup_steps=3, synthetic_records=400)
    work, public = cost_model.training_work(run), cost_model.public_side(run)
    one, warm = cost_model.round_work(public), cost_model.warm_up_work(public)
    assert work["rounds"] == 7 and work["mlp"] == pytest.approx(7 * one["mlp"] + warm["mlp"])
    sampled = 400 * cost_model.generator_operations(public)
    assert work["images"] == pytest.approx(7 * one["images"] + warm["images"] + sampled)
    assert cost_model.training_work(config("gaussian")) == {}
    assert cost_model.evaluation_work(config("gaussian"))["classifiers"] > 0


def test_there_is_no_forecast_for_what_was_never_measured() -> None:
    assert cost_model.forecast(config("dp-sgd-critic"), MODEL) is None
    assert cost_model.forecast(config("efsgd/with-classifier"), MODEL) is None
    with pytest.raises(KeyError):
        CostModel({"mlp": 1.0}, RATE).predict({"conv": 1.0})
    assert CostModel.of({}) is None
    assert CostModel.of({"cost": {"seconds": {"mlp": 2.0}, "matmul_rate": 3.0}}) == CostModel(
        {"mlp": 2.0}, 3.0
    )


def test_memory_is_that_of_the_tensors_a_trainer_keeps() -> None:
    run = config()
    data = load("glyphs", "train", num_records=run.privacy.num_records, seed=0)
    trainer = OwnerTrainer(run, data, "key", device=torch.device("cpu"))
    kept = cost_model.memory(run)
    critics = [*trainer.ensemble.params.values(), *trainer.ensemble.first.values()]
    critics += trainer.ensemble.second.values()
    held = {
        "critics and their Adam moments": critics,
        "error memory": [trainer.memory.residuals],
        "records": [data.images],
        "records' codes": [trainer.ensemble.codes],
    }
    assert kept.keys() == held.keys()
    for name, tensors in held.items():
        assert kept[name] * 2**30 == pytest.approx(sum(t.nbytes for t in tensors)), name
    off = run.replace(feedback_decay=0.0)
    assert cost_model.memory(off)["error memory"] == 0


def test_the_committed_fit_covers_every_method() -> None:
    here = cost_model.forecast_here(make_config(dataset="mnist", method="efsgd-prior"))
    assert here is not None and 0.1 < here.minutes < 1000
    assert cost_model.matmul_rate(1) > 1e8


def test_a_forecast_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    cost_model.forecast_here(config("efsgd-prior", real_records=50))
    assert torch.equal(before, torch.random.get_rng_state())
