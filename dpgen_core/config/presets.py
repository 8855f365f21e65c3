"""Settings by name: methods, profiles, and the parts that can be switched.

A *method* says what is run, optionally with one part switched: ``"efsgd-prior"``, ``"gs-wgan"``,
``"efsgd/no-reconstruction"``. A *profile* says how much work to spend. `preset` joins the two into
settings of `ExperimentConfig` by flat name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CLASSIFIER_WEIGHT = 0.2
# Parts of the paper that can be switched off, and how. Without a weight no target matters; it is the
# default, as in all methods without the loss.
PARTS: Mapping[str, Mapping[str, Any]] = {
    "error-feedback": {"feedback_decay": 0.0},
    "reconstruction": {"reconstruction_weight": 0.0, "reconstruction_target": "matched"},
    "noise-injection": {"noise_injection": False},
    "public-basis": {"basis_modes": None},  # None: every mode of the image
    "adversarial": {"adversarial_weight": 0.0},
}

# Switches that every table shows beside the presets; all others are for ablations.
PRIOR_FRAMED = ("mixture/with-frame", "efsgd-prior/with-frame")
ROUNDS_FRAMED = "efsgd/with-frame"
VARIED = "efsgd/with-appearance"
MATCHED = "efsgd/with-matched"  # the preset of before, for comparisons
COLORED = ("gaussian/with-color", "mixture/with-color", "efsgd-prior/with-color")
REFINED = "dp-sgd-critic/with-prior"
SHARED = "gaussian/with-shared-covariance"
GRAINED, FRAMED_GRAINED = "mixture/with-grain", "mixture/with-frame-and-grain"
EXTRAS = (*PRIOR_FRAMED, ROUNDS_FRAMED, VARIED, *COLORED, REFINED, GRAINED, FRAMED_GRAINED)
_GRAIN: dict[str, Any] = {"prior_modes": 16, "grain": 0.8}
# A prior for photographs: colors vary less than brightness, classes differ in finer detail than in
# drawings, and longer codes have longer norms. Found on CelebA's held-out training records.
COLOR: dict[str, Any] = {"prior_modes": 24, "prior_chroma": 0.3, "prior_shared_covariance": True}
COLOR |= {"prior_mean_radius": 40.0, "prior_covariance_radius": 28.0}
# A prior that is trained on; None takes the cells and the share that the budget carries.
_REFINED_PRIOR: dict[str, Any] = {"prior_modes": 12, "prior_cells": None, "prior_share": None}
_REFINED_PRIOR |= {"generator_learning_rate": 2e-3, "label_in_refiner": False}
# Switches of what the paper does not have, by the methods that have them.
SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "efsgd-prior/with-classifier": {"classifier_weight": _CLASSIFIER_WEIGHT},
    "efsgd/with-classifier": {"classifier_weight": _CLASSIFIER_WEIGHT},
    "efsgd-prior/with-label": {"label_in_refiner": True},
    **{name: {"prior_frame": True} for name in PRIOR_FRAMED},
    # A code with a frame is not the code of one image, so a convolutional critic cannot see it.
    ROUNDS_FRAMED: {"rounds_frame": True, "critic": "mlp"},
    VARIED: {"appearance_noise": True},
    MATCHED: {"reconstruction_target": "matched", "reconstruction_weight": 0.15},
    **dict.fromkeys(COLORED, COLOR),
    SHARED: {"prior_shared_covariance": True, "prior_covariance_radius": 7.0},
    # For who trains a network on the samples: found by a deep judge on held-out training records, see
    # `companion.studies.sample_noise`. Under grain finer modes help at every budget tried; strokes are
    # better when they differ more than the records do, clothes are not.
    GRAINED: _GRAIN,
    FRAMED_GRAINED: {**_GRAIN, "prior_frame": True, "temperature": 1.5},
    # Steps of one critic are cheap: half of the budget leaves them nearly all of their signal.
    REFINED: {**_REFINED_PRIOR, "prior_share": 0.5, "keep_pool": True},
}
_LINEAGE: dict[str, Any] = {"feedback_decay": 0.0, "reconstruction_weight": 0.0}
_LINEAGE |= {"noise_injection": False, "basis_modes": None, "clip_mode": "per-image"}
METHODS: Mapping[str, Mapping[str, Any]] = {
    "efsgd-prior": {**_REFINED_PRIOR, "reconstruction_weight": 0.02},
    "efsgd": {"reconstruction_target": "moments", "reconstruction_weight": 0.5},
    "gaussian": {"prior_modes": 12, "prior_share": 1.0, "rounds": 0},
    "mixture": {"prior_modes": 12, "prior_cells": None, "prior_share": 1.0}
    | {"prior_contrast": True, "prior_curve": "full-range", "rounds": 0},
    "dp-sgd-critic": {"learner": "dp-sgd", "sampling_rate": 0.005},
    "efsgd-critic": {"learner": "efsgd", "sampling_rate": 0.005},
    "gs-wgan": _LINEAGE,
    "dp-gan-dpac": _LINEAGE | {"classifier_weight": _CLASSIFIER_WEIGHT},
}

# What to take for one's own images, and for which.
RECOMMENDED: Mapping[str, tuple[str, str]] = {
    "drawings": ("mixture", "shapes on an even ground, such as clothes and signs"),
    "strokes": ("mixture/with-frame", "light strokes on dark ground, such as handwriting"),
    "scans": (SHARED, "gray photographs, such as X-rays"),
    "photographs": ("gaussian/with-color", "color photographs of few classes, such as faces"),
}

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "smoke": {"num_shards": 100, "sampling_rate": 0.2, "rounds": 6, "checkpoint_every": 2}
    | {"critic_steps": 1, "critic_warmup_steps": 1, "critic_batch": 8, "critic_width": 16}
    | {"generator_width": 4, "generated_batch": 20, "fake_pool": 40}
    | {"synthetic_records": 400, "real_records": 400, "classifier_epochs": 1},
    "quick": {"num_shards": 1000, "sampling_rate": 0.1, "rounds": 300, "synthetic_records": 20_000},
    "paper": {"num_shards": 2000, "sampling_rate": 0.1, "rounds": 1000}
    | {"critic": "conv", "critic_width": 32, "critic_steps": 10, "generator_width": 32}
    | {"synthetic_records": 60_000, "real_records": 60_000, "classifier_epochs": 20},
}
WHOLE = (*METHODS, *EXTRAS)  # methods with nothing left out
SMOKE_RECORDS = 2000
SHARD_RECORDS = (
    10  # an owner holds as many, where there are too few records for the profile's shards
)
DEFAULT_DELTA = 1e-5
USUAL_SIDES = {1: 28, 3: 32}  # in pixels, by channels, of the images that settings were found on
MEAN_RADIUS, COVARIANCE_RADIUS = 20.0, 14.0  # of a prior's clip at that side


def method_names() -> tuple[str, ...]:
    """Every accepted method: the presets, and those with one part switched."""
    without = (f"{method}/no-{part}" for method in ("efsgd-prior", "efsgd") for part in PARTS)
    return (*METHODS, *without, *SWITCHES, "efsgd-critic/no-error-feedback")


def preset(method: str, profile: str, *, image_shape: tuple[int, int, int]) -> dict[str, Any]:
    """Settings by flat name, before the caller's overrides, for images (c, h, w).

    The code of an image is as long as its side, and so are the clip radii of a prior: those below are
    for `USUAL_SIDES`.
    """
    side = image_shape[1]
    base, _, switch = method.partition("/")
    settings = {"max_grad_norm": 1.0, **PROFILES[profile], **METHODS[base]}
    # A step of one critic is cheap and small; `EFSGD` pays for every participation in full.
    settings["rounds"] *= {"dp-sgd-critic": 20, "efsgd-critic": 4}.get(base, 1)
    if method in SWITCHES:
        settings |= SWITCHES[method]
    elif switch:
        settings |= PARTS[switch.removeprefix("no-")]
    for name in ("basis_modes", "prior_modes"):
        if name in settings:
            settings[name] = min(settings[name] or side, side)
    growth = side / USUAL_SIDES[image_shape[0]]
    if settings.get("prior_modes") and growth != 1:
        usual = {"prior_mean_radius": MEAN_RADIUS, "prior_covariance_radius": COVARIANCE_RADIUS}
        settings |= {name: growth * settings.get(name, radius) for name, radius in usual.items()}
    return settings
