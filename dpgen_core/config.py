"""One frozen configuration owns every setting of a run.

Sampler, noise and accountant read the same fields of `ExperimentConfig`; nothing else holds a
privacy parameter. `make_config` is the front door: it checks every argument, looks up the preset,
and calibrates the noise to the budget.

Methods and profiles are in `presets`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpgen_core import accounting, budget, data
from dpgen_core.checks import check_choice, check_int, check_real, require
from dpgen_core.efsgd import CLIP_MODES, ClipMode
from dpgen_core.models import CRITICS, CriticName
from dpgen_core.pld import smallest_delta
from dpgen_core.presets import DEFAULT_DELTA, PROFILES, SMOKE_RECORDS, method_names, preset
from dpgen_core.streams import NOISE_SOURCES, NoiseSource

LEARNERS = ("owners", "dp-sgd", "efsgd")
ACCOUNTANTS = ("rdp", "pld")


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that decides a run. Build it with `make_config`.

    Units: norms are Euclidean, in image space (pixels in [0, 1]); noise multipliers are noise std
    over C (rounds) or over the joint replace-one sensitivity (prior).
    """

    # what is run
    dataset: str
    method: str
    profile: str
    seed: int  # public
    noise_source: NoiseSource
    num_records: int  # N, public
    num_classes: int
    image_shape: tuple[int, int, int]  # (c, h, w)

    # privacy: budget, and all that sampler, noise and accountant read
    epsilon: float  # the target; what was spent is in the record
    delta: float
    relation: accounting.Relation
    accountant: accounting.Accountant
    num_shards: int  # K
    sampling_rate: float  # q
    rounds: int  # T; 0 stops after the prior
    max_grad_norm: float  # C
    noise_multiplier: float  # sigma of the rounds
    prior_noise_multiplier: float  # m of the prior; 0 without a prior

    # contributions
    generated_batch: int = 40  # B
    basis_modes: int = 14  # m of the gradients' public basis
    clip_mode: ClipMode = "joint"
    feedback_decay: float = 0.5  # error memory; 0 switches it off
    adversarial_weight: float = 1.0
    reconstruction_weight: float = 0.15
    reconstruction_until: float = 2.0  # rounds / T at which it has annealed to 0
    match_corner: float = 4.0  # public spectrum in which records are matched to images
    classifier_weight: float = 0.0

    # who learns: owners with a critic each, or one public critic whose steps are releases
    learner: str = "owners"

    # the critics
    critic: CriticName = "mlp"
    critic_width: int = 64
    critic_steps: int = 10
    critic_warmup_steps: int = 20
    critic_batch: int = 32
    critic_learning_rate: float = 2e-3
    gradient_penalty: float = 10.0
    fake_pool: int = 320
    keep_pool: bool = False  # one critic: fakes drawn once for each step of the generator

    # the generator
    latent_dim: int = 32
    generator_width: int = 16
    noise_injection: bool = True
    rounds_frame: bool = False  # owners judge codes in frames, see `framed_generator`
    appearance_noise: bool = False  # how an image is shown is drawn, see `appearance`
    label_in_refiner: bool = True  # whether a prior is refined with the label at hand
    generator_learning_rate: float = 4e-3
    generator_momentum: float = 0.5
    ema_decay: float = 0.95

    # the prior; radii and spectrum are constants, never read off the private data
    prior_modes: int = 0  # 0: no prior
    prior_share: float = 0.0  # share of the budget, in units of 1 / noise_multiplier^2
    prior_corner: float = 4.0
    prior_chroma: float | None = None  # scale of opponent colors; None keeps the channels
    prior_mean_radius: float = 20.0
    prior_covariance_radius: float = 14.0
    prior_shared_covariance: bool = False  # one covariance for all classes, see `prior`
    prior_cells: int = 1  # M, Gaussians per class
    prior_rank: int = 30  # whitened directions in which cells differ
    prior_frame: bool = False  # codes in each record's own frame, see `frames`
    prior_contrast: bool = False  # show the prior's own samples with the generator's first contrast

    # evaluation
    synthetic_records: int = 10_000
    real_records: int = 10_000
    classifier_epochs: int = 8
    checkpoint_every: int = 50  # rounds

    def record_name(self) -> str:
        """Folder name of the record: readable, and unique to these settings.

        The hash leaves out fields at their default, so that a new field does not rename old records.
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        chosen = {name: v for name, v in self.to_dict().items() if v != defaults[name]}
        text = json.dumps(chosen, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        method = self.method.replace("/", "_")
        parts = (self.dataset, method, f"eps{self.epsilon:g}", self.profile, f"seed{self.seed}")
        return "-".join((*parts, digest))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return dataclasses.asdict(self) | {"image_shape": list(self.image_shape)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExperimentConfig:
        """Inverse of `to_dict`.

        Raises:
            InvalidArgument: a field is unknown or missing.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        require(not unknown, "config", unknown, "made of known fields only", "a fresh config")
        return cls(**dict(values) | {"image_shape": tuple(values["image_shape"])})


def make_config(
    *,
    dataset: str,
    method: str = "efsgd-prior",
    profile: str = "quick",
    epsilon: float = 10.0,
    delta: float = DEFAULT_DELTA,
    accountant: str = "rdp",
    seed: int = 0,
    num_records: int | None = None,
    noise_source: str = "seeded",
    root: Path | None = None,
    **overrides: Any,
) -> ExperimentConfig:
    """Check every setting, fill in the preset, calibrate the noise to the budget.

    Args:
        dataset: a name in `data.NAMES`.
        method: a name in `method_names()`.
        profile: ``smoke``, ``quick`` or ``paper``.
        epsilon: the budget, > 0 and finite.
        delta: in (0, 1/N).
        accountant: ``rdp`` or ``pld``; the noise is calibrated with it. The RDP figure is never
            below the PLD figure, so ``rdp`` keeps the budget under both.
        seed: public seed, >= 0.
        num_records: N, a public random subset of that size; None takes all (`smoke`: 2000).
        noise_source: see `streams.secret_key`.
        root: data folder; None reads ``$DPGEN_DATA`` or ``./data``.
        **overrides: any other field of `ExperimentConfig` but those computed here. With None,
            ``prior_share`` and ``prior_cells`` are what the budget carries, see `budget`.

    Raises:
        InvalidArgument: names the argument, the value, the rule and the allowed choices.
    """
    check_choice("dataset", dataset, data.NAMES)
    check_choice("method", method, method_names())
    check_choice("profile", profile, PROFILES)
    check_choice("accountant", accountant, ACCOUNTANTS)
    check_choice("noise_source", noise_source, NOISE_SOURCES)
    check_int("seed", seed, low=0, fix="seed=0")
    check_real("epsilon", epsilon, low=0, low_open=True, fix="epsilon=10.0")
    spec = data.dataset_spec(dataset, root=root)
    available = data.train_size(dataset, root=root)
    if num_records is None:
        num_records = min(SMOKE_RECORDS, available) if profile == "smoke" else available
    check_int("num_records", num_records, low=1, high=available, fix=f"num_records={available}")
    check_real(
        "delta",
        delta,
        low=0,
        high=1 / num_records,
        low_open=True,
        high_open=True,
        fix=f"delta={min(DEFAULT_DELTA, 0.1 / num_records):g}, below 1/N = 1/{num_records}",
    )

    settings = preset(method, profile, spec.image_shape) | overrides
    if settings.get("learner", "owners") != "owners":
        settings["num_shards"] = num_records  # a record is its own shard
    computed = {"noise_multiplier", "prior_noise_multiplier", "relation", "image_shape"}
    known = {field.name for field in dataclasses.fields(ExperimentConfig)} - computed
    unknown = sorted(set(overrides) - known)
    require(not unknown, "overrides", unknown, f"among {', '.join(sorted(known))}", "a listed name")
    _check_settings(settings, num_records, spec.num_classes, channels=spec.image_shape[0])
    if settings.get("learner") == "efsgd":
        rule = "'seeded' for learner='efsgd', whose noise is no secret stream: for research only"
        require(noise_source == "seeded", "noise_source", noise_source, rule, "learner='dp-sgd'")

    if settings["rounds"] and settings.get("learner") != "efsgd":
        low = smallest_delta(settings["rounds"])
        rule = f"at least {low:g}: composing the rounds is not exact below that"
        require(delta >= low, "delta", delta, rule, f"delta={DEFAULT_DELTA:g}")
    target = {"target_epsilon": float(epsilon), "delta": delta, "accountant": accountant}
    size: dict[str, Any] = {
        "class_records": num_records / spec.num_classes,
        "channels": spec.image_shape[0],
        "rank": settings.get("prior_rank", ExperimentConfig.prior_rank),
    }
    settings["prior_share"] = budget.prior_share(settings, target, **size)
    prior_noise = budget.prior_noise(settings, target)
    settings["prior_cells"] = budget.prior_cells(settings, prior_noise, **size)
    noise = budget.rounds_noise(settings, target, num_records=num_records, noise=prior_noise)
    return ExperimentConfig(
        dataset=dataset,
        method=method,
        profile=profile,
        seed=int(seed),
        noise_source=noise_source,  # type: ignore[arg-type]
        num_records=int(num_records),
        num_classes=spec.num_classes,
        image_shape=spec.image_shape,
        epsilon=float(epsilon),
        delta=float(delta),
        relation=budget.RELATION,
        accountant=accountant,  # type: ignore[arg-type]
        noise_multiplier=noise,
        prior_noise_multiplier=prior_noise,
        **settings,
    )


def _check_settings(
    settings: Mapping[str, Any], num_records: int, num_classes: int, *, channels: int
) -> None:
    """Rules that involve the settings a preset or an override may have set."""
    check_int("rounds", settings["rounds"], low=0, fix="rounds=300")
    check_int(
        "num_shards",
        settings["num_shards"],
        low=1,
        fix="num_shards=1000",
    )
    require(
        settings["num_shards"] <= num_records,
        "num_records",
        num_records,
        f"at least num_shards = {settings['num_shards']}: every shard needs a record (N >= K)",
        f"num_records={10 * settings['num_shards']}, or fewer shards",
    )
    for name in ("appearance_noise", "rounds_frame"):
        if settings.get(name):
            able = settings["rounds"] > 0 and not settings.get("prior_modes")
            rule = "off where a prior makes the images: it has a spread of its own"
            require(able, name, True, rule, "method='efsgd' with this setting")
    if settings.get("keep_pool"):
        rule = "off for owners: a round of theirs is a step of the generator and has one pool"
        alone = settings.get("learner", "owners") != "owners"
        require(alone, "keep_pool", True, rule, "learner='dp-sgd'")
    if settings.get("rounds_frame"):
        rule = "'mlp' with rounds_frame: codes with a frame are no image's"
        require(
            settings.get("critic", "mlp") == "mlp", "critic", settings.get("critic"), rule, "'mlp'"
        )
    if settings.get("prior_chroma") is not None:
        chroma, rule = settings["prior_chroma"], "None but for images of three channels"
        require(channels == 3, "prior_chroma", chroma, rule, "a method without color")
        check_real("prior_chroma", chroma, low=0, low_open=True, fix="prior_chroma=0.3")
    if settings["rounds"]:
        pool = settings.get("fake_pool", ExperimentConfig.fake_pool)
        rule = f"at least one fake of each of the {num_classes} classes"
        require(pool >= num_classes, "fake_pool", pool, rule, f"fake_pool={4 * num_classes}")
    rate = settings["sampling_rate"]
    check_real("sampling_rate", rate, low=0, high=1, low_open=True, fix="sampling_rate=0.1")
    check_real("max_grad_norm", settings["max_grad_norm"], low=0, low_open=True, fix="1.0")
    check_choice("learner", settings.get("learner", "owners"), LEARNERS)
    check_choice("critic", settings.get("critic", "mlp"), CRITICS)
    check_choice("clip_mode", settings.get("clip_mode", "joint"), CLIP_MODES)
    if settings.get("prior_share") is not None:
        check_real("prior_share", settings["prior_share"], low=0, high=1, fix="0.5")
    for name in (
        *("generated_batch", "fake_pool", "critic_steps", "critic_batch", "critic_width"),
        *("prior_cells", "prior_rank"),
    ):
        if name in settings and not (name == "prior_cells" and settings[name] is None):
            check_int(name, settings[name], low=1, fix=f"the profile's own {name}")
    for name in (
        "adversarial_weight",
        "reconstruction_weight",
        "classifier_weight",
        "gradient_penalty",
    ):
        check_real(name, settings.get(name, 0.0), low=0, fix=f"{name}=0")
