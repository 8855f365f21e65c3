"""The cost of a run before it starts: minutes from a fitted model, memory from what is kept.

A run's work is counted in a few `WORK` terms; seconds are a non-negative combination of them,
fitted by ``make bench`` to probes of many sizes on one machine. For another machine the fit is
scaled by the speed of its matrix products. Source: ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from companion.studies.benchmark_results import Benchmarks, current_benchmarks
from companion.studies.committed import project_root
from dpgen_core.config.budget import LEARNERS
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.evaluation.classifiers import ARCHITECTURES, build_classifier
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.streams import stream
from dpgen_core.training.public_side import PublicSide
from dpgen_core.training.sampler import prior_basis
from dpgen_core.training.threads import using_threads

# Float operations of a critic's gradient over those of its forward pass. Three passes forward; two
# back each for records and fakes; for the penalty one down to the input, one back up, one for the
# weights.
STEP_PASSES = 10
_ANSWER_PASSES = 3
_IMAGE_PASSES = 3  # for a generated image that is differentiated
WORK = {
    "mlp": "10^9 operations of MLP critics",
    "conv": "10^9 operations of convolutional critics",
    "state": "10^9 weights of critics that take a step",
    "contributions": "10^9 entries of contributions",
    "images": "10^9 operations of the generator",
    "rounds": "rounds",
    "classifiers": "10^9 operations of the classifiers of the evaluation",
    "distances": "10^9 operations of nearest neighbors",
}
Work = dict[str, float]  # term -> how much of it


@dataclass(frozen=True)
class Forecast:
    """Expected seconds of training and of evaluation."""

    training: float
    evaluation: float

    @property
    def minutes(self) -> float:
        """Minutes of the whole run."""
        return (self.training + self.evaluation) / 60

    def __str__(self) -> str:
        return (
            f"about {self.minutes:.1f} minutes: {self.training / 60:.1f} to train, "
            f"{self.evaluation / 60:.1f} to evaluate"
        )


@dataclass(frozen=True)
class CostModel:
    """Seconds per unit of each term of `WORK`, and the machine they were measured on.

    Attributes:
        seconds: by term; a term that no probe had is missing.
        matmul_rate: float operations per second of a large matrix product on that machine.
    """

    seconds: Mapping[str, float]
    matmul_rate: float

    @classmethod
    def fit(cls, probes: Sequence[tuple[Work, float]], *, rate: float) -> CostModel:
        """Least squares of the relative error, no coefficient below zero.

        Args:
            probes: work done and seconds it took, > 0.
            rate: the machine's `matmul_rate`.
        """
        names = sorted({name for work, _ in probes for name in work})
        rows = np.array([[work.get(n, 0.0) / seconds for n in names] for work, seconds in probes])
        found, _ = nnls(rows, np.ones(len(rows)))
        return cls(dict(zip(names, found.tolist(), strict=True)), rate)

    @classmethod
    def of(cls, found: Benchmarks) -> CostModel | None:
        """The fit among the benchmarks; None where there is none."""
        measured = found.get("cost")
        return cls(measured["seconds"], measured["matmul_rate"]) if measured else None

    def predict(self, work: Work, *, rate: float | None = None) -> float:
        """Seconds for `work` on a machine of that `matmul_rate`; by default on the fitted one.

        Raises:
            KeyError: the fit has no such term.
        """
        slower = self.matmul_rate / (rate or self.matmul_rate)
        return slower * sum(self.seconds[name] * amount for name, amount in work.items() if amount)


def forecast(
    config: ExperimentConfig, model: CostModel, *, rate: float | None = None
) -> Forecast | None:
    """Expected seconds of a run of `config`; None for a kind of run that was never measured.

    Args:
        config: the run.
        model: the fit.
        rate: `matmul_rate` of the machine it will run on; default: that of the fit.
    """
    if LEARNERS[config.privacy.learner].single or config.contribution.classifier_weight:
        return None
    training = model.predict(training_work(config), rate=rate)
    return Forecast(training, model.predict(evaluation_work(config), rate=rate))


def forecast_here(config: ExperimentConfig) -> Forecast | None:
    """`forecast` for this process on this machine's processor; None where nothing was measured."""
    model = CostModel.of(current_benchmarks(project_root() / "results"))
    if model is None:
        return None
    return forecast(config, model, rate=matmul_rate(torch.get_num_threads()))


def training_work(config: ExperimentConfig) -> Work:
    """Everything up to the last synthetic image, by term of `WORK`."""
    if not config.privacy.rounds:
        return {}  # a prior takes a second
    public = public_side(config)
    warm = warm_up_work(public)
    one = round_work(public)
    work = {name: warm.get(name, 0.0) + config.privacy.rounds * one[name] for name in one}
    work["images"] += config.evaluation.synthetic_records * generator_operations(public)
    return work


def warm_up_work(public: PublicSide) -> Work:
    """The work of all critics before the first round."""
    config = public.config
    steps = config.privacy.num_shards * config.critic.warmup_steps
    passes = steps * STEP_PASSES * config.critic.batch_size
    return {
        config.critic.kind: passes * critic_operations(public),
        "state": steps * _weights(public) / 1e9,
        "images": config.critic.fake_pool * generator_operations(public) if steps else 0.0,
    }


def round_work(public: PublicSide) -> Work:
    """The work of an average round."""
    config = public.config
    joined = config.privacy.sampling_rate * config.privacy.num_shards
    steps, batch = joined * config.critic.steps, config.contribution.generated_batch
    passes = steps * STEP_PASSES * config.critic.batch_size + joined * _ANSWER_PASSES * batch
    images = config.critic.fake_pool + _IMAGE_PASSES * batch
    return {
        config.critic.kind: passes * critic_operations(public),
        "state": steps * _weights(public) / 1e9,
        "contributions": joined * batch * public.basis.dim / 1e9,
        "images": images * generator_operations(public),
        "rounds": 1.0,
    }


def evaluation_work(config: ExperimentConfig) -> Work:
    """Training the classifiers of the evaluation, and searching for neighbors."""
    settings = EvaluationSettings()
    made = config.evaluation.synthetic_records
    real = min(config.evaluation.real_records, config.privacy.num_records)
    seen = config.evaluation.classifier_epochs * 3 * (made + real) + 3 * (made + real)
    pixels = int(np.prod(config.image_shape))
    searched = min(settings.neighbor_records, made) * config.privacy.num_records
    return {
        "classifiers": seen * _classifier_operations(config.image_shape, config.num_classes),
        "distances": 2 * searched * pixels / 1e9,
    }


def memory(config: ExperimentConfig) -> dict[str, float]:
    """Gigabytes that a run keeps from round to round, by content; all ranks together.

    The temporary memory of a step and the libraries come on top.
    """
    public = public_side(config)
    pixels, codes = int(np.prod(config.image_shape)), public.basis.dim
    slots = config.privacy.num_shards * config.num_classes * codes
    entries = {
        "critics and their Adam moments": 3 * config.privacy.num_shards * _weights(public),
        "error memory": slots if config.contribution.feedback_decay else 0,
        "records": config.privacy.num_records * pixels,
        "records' codes": config.privacy.num_records * codes,
    }
    return {name: 4 * count / 2**30 for name, count in entries.items()}


def public_side(config: ExperimentConfig) -> PublicSide:
    """Generator and critic of a run, untrained, on a blank prior: only their sizes matter."""
    prior = _blank_prior(config) if config.prior.modes else None
    return PublicSide(config, device=torch.device("cpu"), prior=prior)


def critic_operations(public: PublicSide) -> float:
    """10^9 float operations of one critic's forward pass of one image."""
    codes, labels = torch.zeros(1, public.basis.dim), torch.zeros(1, dtype=torch.long)
    return _operations(lambda: public.critic(codes, labels))


def generator_operations(public: PublicSide) -> float:
    """10^9 float operations that make one image."""
    latents, labels = public.latents("cost", 0, 1)
    noise = stream(public.config.seed, "cost")
    return _operations(lambda: public.generator(latents, labels, noise))


@cache
def matmul_rate(threads: int, device: str = "cpu") -> float:
    """Best float32 operations per second of a large matrix product on that many threads; cached."""
    size, seconds = 1024 if device == "cpu" else 8192, []
    a, b = torch.randn(2, size, size, generator=stream(0, "matmul")).to(device)
    with using_threads(threads):
        for _ in range(20):
            started = time.perf_counter()
            (a @ b)[0, 0].item()  # waits for a GPU
            seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def _weights(public: PublicSide) -> int:
    return sum(p.numel() for p in public.critic.parameters())


@cache
def _classifier_operations(image_shape: tuple[int, int, int], num_classes: int) -> float:
    with torch.device("meta"):  # sizes without numbers: nothing is drawn
        image = torch.zeros(1, *image_shape)
        models = [build_classifier(name, image, num_classes).eval() for name in ARCHITECTURES]
    return sum(_operations(partial(model, image)) for model in models)


@torch.no_grad()
def _operations(call: Callable[[], Tensor]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def _blank_prior(config: ExperimentConfig) -> FrequencyPrior:
    """A prior without information, of the size that `config` asks for."""
    basis = prior_basis(config)
    cells, dim = (config.num_classes, config.prior.num_cells), basis.dim
    share, factor = torch.ones(cells), torch.zeros(1, 1, dim, dim)
    means, factors = torch.zeros(*cells, dim), factor.expand(*cells, dim, dim)
    return FrequencyPrior(basis, torch.ones(dim), share.sum(1), share, means, factors)
