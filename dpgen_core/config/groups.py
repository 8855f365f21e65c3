"""The groups of settings, each with its checks; `config.schema` holds them in one configuration.

Sampler, noise and accountant read the same fields of `PrivacyConfig`; nothing else holds a privacy
parameter. `FLAT` has the name that each setting goes by outside its group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dpgen_core.accounting.events import ACCOUNTANTS, Accountant
from dpgen_core.accounting.rdp import LARGEST_GROUP, RELATIONS, Relation
from dpgen_core.checks import check_choice, check_int, check_real, require
from dpgen_core.config.budget import LEARNERS
from dpgen_core.config.presets import COVARIANCE_RADIUS, DEFAULT_DELTA, MEAN_RADIUS
from dpgen_core.data.dither import DITHER, GRAIN
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.mechanism.clipping import CLIP_MODES, ClipMode
from dpgen_core.models.critics import CRITICS, CriticName
from dpgen_core.models.generators import CURVES, Curve
from dpgen_core.models.noise_injection import FORMS as NOISE_FORMS
from dpgen_core.reconstruction import FORMS
from dpgen_core.streams import NOISE_SOURCES, NoiseSource


@dataclass(frozen=True)
class PrivacyConfig:
    """The budget, and all that sampler, noise and accountant read."""

    num_records: int  #: N, public
    epsilon: float  #: the target, > 0; what was spent is in the record
    delta: float  #: in (0, 1/N)
    num_shards: int  #: K <= N, public; an owner holds one shard
    sampling_rate: float  #: q in (0, 1], the probability that a contributor joins a round
    rounds: int  #: T; 0 stops after the prior
    max_grad_norm: float  #: C, Euclidean norm of one contribution at most
    relation: Relation = "replace-one"  #: neighboring relation of every figure
    accountant: Accountant = "rdp"  #: the noise is calibrated with it
    noise_multiplier: float = 0.0  #: sigma of the rounds, noise std over C; 0: not calibrated yet
    prior_noise_multiplier: float = 0.0  #: noise std over sensitivity of the prior; 0: no prior
    learner: str = "owners"  #: who contributes to a round, a key of `budget.LEARNERS`
    noise_source: NoiseSource = "seeded"  #: see `streams.secret_key`
    images_per_person: int | None = None  #: m, kept of each person; None: the unit is an image

    def __post_init__(self) -> None:
        check_int("num_records", self.num_records, low=1, fix="num_records=60000")
        check_real("epsilon", self.epsilon, low=0, low_open=True, fix="epsilon=10.0")
        most = 1 / self.num_records
        # In YAML 1e-05 is text: digits alone are a number everywhere.
        usual = np.format_float_positional(min(DEFAULT_DELTA, 0.1 * most), 2, fractional=False)
        fix = f"delta={usual}, a number below 1/N = 1/{self.num_records}"
        check_real("delta", self.delta, low=0, high=most, low_open=True, high_open=True, fix=fix)
        check_choice("relation", self.relation, RELATIONS)
        check_choice("accountant", self.accountant, ACCOUNTANTS)
        check_choice("noise_source", self.noise_source, NOISE_SOURCES)
        check_choice("learner", self.learner, LEARNERS)
        if self.images_per_person is not None:
            fix, most = "images_per_person=3", LARGEST_GROUP
            check_int("images_per_person", self.images_per_person, low=1, high=most, fix=fix)
        check_int("rounds", self.rounds, low=0, fix="rounds=300")
        check_int("num_shards", self.num_shards, low=1, fix="num_shards=1000")
        rule = f"at least num_shards = {self.num_shards}: every shard needs a record (N >= K)"
        fix = f"num_records={10 * self.num_shards}, or fewer shards"
        require(self.num_shards <= self.num_records, "num_records", self.num_records, rule, fix)
        rate = self.sampling_rate
        check_real("sampling_rate", rate, low=0, high=1, low_open=True, fix="sampling_rate=0.1")
        check_real("max_grad_norm", self.max_grad_norm, low=0, low_open=True, fix="1.0")
        for name in ("noise_multiplier", "prior_noise_multiplier"):
            check_real(name, getattr(self, name), low=0, fix="a fresh make_config(...)")
        # Plain Python types, which hash and print alike.
        for name, kind in (("num_records", int), ("epsilon", float), ("delta", float)):
            object.__setattr__(self, name, kind(getattr(self, name)))

    @property
    def group_size(self) -> int:
        """Records in which neighbors differ at most: m, or 1 where the unit is an image."""
        return self.images_per_person or 1


def _check_positive(group: object, **usual: float) -> None:
    """Require fields of a group to be above 0; `usual` has the value that an error suggests."""
    for name, value in usual.items():
        flat = _flat_name(group, name)
        check_real(flat, getattr(group, name), low=0, low_open=True, fix=f"{flat}={value:g}")


def _check_switches(group: object, *names: str) -> None:
    for name in names:
        value, flat = getattr(group, name), _flat_name(group, name)
        require(isinstance(value, bool), flat, value, "True or False", f"{flat}=False")


def _flat_name(group: object, entry: str) -> str:
    """What a field is called in messages, overrides and ``config.json``."""
    where = next(name for name, kind in GROUPS.items() if isinstance(group, kind))
    return _FLAT_NAMES[where, entry]


@dataclass(frozen=True)
class ContributionConfig:
    """What an owner contributes to a round, and how it is clipped."""

    generated_batch: int = 40  #: B, public images per round
    basis_modes: int = 14  #: m, modes per axis of the public basis of the gradients
    clip_mode: ClipMode = "joint"  #: see `mechanism.clipping.clip_contributions`
    feedback_decay: float = 0.5  #: of the owners' error memory; 0 switches it off
    adversarial_weight: float = 1.0  #: of the critic's gradient
    reconstruction_weight: float = 0.15  #: of the reconstruction loss at the start
    reconstruction_until: float = 2.0  #: share of the rounds at which that weight reaches 0
    reconstruction_target: str = "matched"  #: see `reconstruction.FORMS`
    match_corner: float = 4.0  #: corner of the public spectrum in which records and images match
    classifier_weight: float = 0.0  #: of the dual-purpose classifier; 0 leaves it out

    def __post_init__(self) -> None:
        check_int("generated_batch", self.generated_batch, low=1, fix="generated_batch=40")
        check_int("basis_modes", self.basis_modes, low=1, fix="basis_modes=14")
        check_choice("clip_mode", self.clip_mode, CLIP_MODES)
        check_choice("reconstruction_target", self.reconstruction_target, FORMS)
        for name in ("adversarial_weight", "reconstruction_weight", "classifier_weight"):
            check_real(name, getattr(self, name), low=0, fix=f"{name}=0")
        check_real("feedback_decay", self.feedback_decay, low=0, high=1, fix="feedback_decay=0.5")
        _check_positive(self, reconstruction_until=2, match_corner=4)


@dataclass(frozen=True)
class CriticConfig:
    """The critics and their training."""

    kind: CriticName = "mlp"  #: architecture
    width: int = 64  #: hidden units, or channels of the first convolution
    steps: int = 10  #: critic steps per round, or steps of one critic per step of the generator
    warmup_steps: int = 20  #: steps of every owner's critic before the first round
    batch_size: int = 32  #: own records per step
    learning_rate: float = 2e-3  #: of Adam
    gradient_penalty: float = 10.0  #: weight of the WGAN-GP penalty
    fake_pool: int = 320  #: public fakes per round
    keep_pool: bool = False  #: one critic: draw fakes once for each step of the generator

    def __post_init__(self) -> None:
        check_choice("critic", self.kind, CRITICS)
        for entry in ("width", "steps", "batch_size", "fake_pool"):
            flat = _flat_name(self, entry)
            check_int(flat, getattr(self, entry), low=1, fix=f"the profile's own {flat}")
        check_real("gradient_penalty", self.gradient_penalty, low=0, fix="gradient_penalty=0")
        check_int("critic_warmup_steps", self.warmup_steps, low=0, fix="critic_warmup_steps=20")
        _check_positive(self, learning_rate=2e-3)
        _check_switches(self, "keep_pool")


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator and its optimizer."""

    latent_dim: int = 32  #: entries of a latent; a prior has its own number
    width: int = 16  #: channels at full resolution
    noise_injection: bool = True  #: noise after upsampling, as in the paper
    noise_form: str = "pixel"  #: of that noise, see `models.noise_injection.FORMS`
    framed: bool = False  #: draw images in a canonical frame, then place them: `models.generators`
    appearance_noise: bool = False  #: draw how each image is shown, see `models.appearance`
    label_in_refiner: bool = True  #: whether the network that refines a prior sees the label
    learning_rate: float = 4e-3  #: of Adam
    momentum: float = 0.5  #: beta1 of Adam
    ema_decay: float = 0.95  #: of the moving average that is sampled from
    temperature: float = 1.0  #: factor on the latents that finished samples are drawn with
    dither: float = 0.0  #: std of pixel noise on finished samples, see `data.dither`; 0: none
    grain: float = 0.0  #: largest std of grain on finished samples, see `data.dither`; 0: none

    def __post_init__(self) -> None:
        check_int("latent_dim", self.latent_dim, low=1, fix="latent_dim=32")
        check_int("generator_width", self.width, low=4, fix="generator_width=16")
        rule = "a multiple of 4, the groups of its normalization"
        require(self.width % 4 == 0, "generator_width", self.width, rule, "generator_width=16")
        _check_positive(self, learning_rate=4e-3)
        for flat, value in (("generator_momentum", self.momentum), ("ema_decay", self.ema_decay)):
            check_real(flat, value, low=0, high=1, high_open=True, fix=f"{flat}=0.5")
        check_choice("noise_form", self.noise_form, NOISE_FORMS)
        check_real(
            "temperature", self.temperature, low=0, high=4, low_open=True, fix="temperature=1"
        )
        check_real("dither", self.dither, low=0, high=1, fix=f"dither={DITHER}")
        check_real("grain", self.grain, low=0, high=1, fix=f"grain={GRAIN}")
        switches = ("noise_injection", "framed", "appearance_noise", "label_in_refiner")
        _check_switches(self, *switches)


@dataclass(frozen=True)
class PriorConfig:
    """The one-shot prior. Radii and spectrum are constants, never taken from the private data."""

    modes: int = 0  #: modes per axis; 0 is no prior
    budget_share: float | None = 0.0  #: of 1 / noise_multiplier^2; None: see `config.budget`
    corner: float = 4.0  #: corner of the public spectrum
    chroma: float | None = None  #: scale of opponent colors; None keeps the channels
    mean_radius: float = MEAN_RADIUS  #: R1, clip radius of codes
    covariance_radius: float = COVARIANCE_RADIUS  #: R2, clip radius of residuals
    shared_covariance: bool = False  #: one covariance for all classes
    cells: int | None = 1  #: M, Gaussians per class; None: what the budget carries
    directions: int = 30  #: whitened directions in which cells differ
    framed: bool = False  #: codes in each record's own frame, see `codes.frames`
    contrast: bool = False  #: give samples of the prior alone the generator's initial contrast
    curve: Curve = "logistic"  #: of the contrast; the default is that of records without the entry

    def __post_init__(self) -> None:
        check_int("prior_modes", self.modes, low=0, fix="prior_modes=12")
        if self.budget_share is not None:
            check_real("prior_share", self.budget_share, low=0, high=1, fix="0.5")
        if self.chroma is not None:
            check_real("prior_chroma", self.chroma, low=0, low_open=True, fix="prior_chroma=0.3")
        if self.cells is not None:
            check_int("prior_cells", self.cells, low=1, fix="prior_cells=8")
        check_int("prior_rank", self.directions, low=1, fix="prior_rank=30")
        _check_positive(self, corner=4, mean_radius=20, covariance_radius=14)
        _check_switches(self, "shared_covariance", "framed", "contrast")
        check_choice("prior_curve", self.curve, CURVES)

    @property
    def num_cells(self) -> int:
        """M once it is settled; 1 before."""
        return self.cells or 1


GROUPS: Mapping[str, Any] = {
    "privacy": PrivacyConfig,
    "contribution": ContributionConfig,
    "critic": CriticConfig,
    "generator": GeneratorConfig,
    "prior": PriorConfig,
    "evaluation": EvaluationSettings,
}
# Flat names that are not the field's own.
_RENAMED: Mapping[str, Mapping[str, str]] = {
    "critic": {"kind": "critic", "batch_size": "critic_batch"}
    | {name: f"critic_{name}" for name in ("width", "steps", "warmup_steps", "learning_rate")},
    "generator": {"framed": "rounds_frame"}
    | {name: f"generator_{name}" for name in ("width", "learning_rate", "momentum")},
    "prior": {entry.name: f"prior_{entry.name}" for entry in dataclasses.fields(PriorConfig)}
    | {"budget_share": "prior_share", "directions": "prior_rank", "framed": "prior_frame"},
}
FLAT: Mapping[str, tuple[str, str]] = {  # flat name -> (group, field)
    _RENAMED.get(group, {}).get(entry.name, entry.name): (group, entry.name)
    for group, kind in GROUPS.items()
    for entry in dataclasses.fields(kind)
}
_FLAT_NAMES = {place: flat for flat, place in FLAT.items()}
