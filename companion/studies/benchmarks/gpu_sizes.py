"""How much of everything a GPU session does: the whole of it, or toy size for a test."""

from __future__ import annotations

from dataclasses import dataclass, field

from companion.studies.diffusion.training import DiffusionSettings
from dpgen_core.evaluation.protocols import DeepProtocol


@dataclass(frozen=True)
class Sizes:
    """How much of everything a session does."""

    loops: tuple[tuple[str, int], ...] = (("mlp", 16), ("mlp", 64), ("conv", 8), ("conv", 32))
    cohort: int = 100
    profile: str = "paper"
    record_dataset: str = "mnist"
    set_profile: str = "quick"
    sets: tuple[tuple[str, float], ...] = (("fashion_mnist", 10.0), ("mnist", 10.0))
    pretraining_seconds: float = 40.0
    seconds: tuple[float, ...] = (130.0, 75.0)  # of DP-SGD, by set
    sampling_rate: float = 0.05
    prior_share: float = 0.2
    max_grad_norm: float = 0.5
    most_rounds: int = 2000
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    protocol: DeepProtocol = field(default_factory=DeepProtocol)
    synthetic: int = 60_000  # images that a judge learns from
    written: int = 20_000  # of them, kept on disk
    judged_before: int = 10_000  # after pretraining alone
    records: int | None = None  # for training; None: all
    test_records: int | None = None  # None: all
    judge_seeds: tuple[int, ...] = (0, 1, 2)


TOY = Sizes(
    loops=(("mlp", 16),),
    cohort=4,
    profile="smoke",
    record_dataset="glyphs",
    set_profile="smoke",
    sets=(("glyphs", 10.0),),
    seconds=(60.0,),  # the rounds end it, however slow the machine is
    sampling_rate=0.02,
    most_rounds=3,
    diffusion=DiffusionSettings(
        width=8,
        pretraining_steps=2,
        pretraining_batch=16,
        prior_images=40,
        views=2,
        records_at_once=16,
    ),
    protocol=DeepProtocol(epochs=1, batch_size=32, held_out=20),
    pretraining_seconds=0.1,
    synthetic=40,
    judged_before=30,
    records=300,
    test_records=50,
    judge_seeds=(0,),
)
