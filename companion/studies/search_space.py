"""All settings that were tried: one list, which `settings_search` runs and judges.

Trials run on MNIST unless they name another data set among their settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dpgen_core.config.presets import COLOR, MATCHED

NEXT_TO_NO_NOISE = 100.0  # an epsilon above this leaves hardly any noise
# Method, epsilon, overrides; the latter name a "dataset" other than MNIST.
Trial = tuple[str, float, Mapping[str, Any]]
_EFSGD: tuple[Mapping[str, Any], ...] = (
    {},
    {"num_shards": 4000, "sampling_rate": 0.05},
    {"num_shards": 2000, "sampling_rate": 0.05},
    {"num_shards": 500},
    {"reconstruction_weight": 0.3},
    {"reconstruction_weight": 0.05},
    {"reconstruction_weight": 0.0},
    {"reconstruction_until": 1.0},
    {"reconstruction_until": 0.5},
    {"feedback_decay": 0.0},
    {"generated_batch": 100},
    {"generator_learning_rate": 2e-3},
    {"basis_modes": 10},
    {"rounds": 600},
    {"critic_steps": 20},
    {"critic_warmup_steps": 200},
    {"reconstruction_until": 1.0, "critic_steps": 20, "rounds": 600},
    {"num_shards": 250, "sampling_rate": 0.2, "critic_steps": 20},
    {"critic": "conv", "critic_width": 8, "critic_steps": 5},
)
# Share of the budget for the prior, and the generator's learning rate.
_PRIOR = ((0.5, 3e-4), (0.8, 3e-4), (0.8, 1e-3), (0.8, 2e-3), (0.8, 4e-3))


def _on_the_prior(share: float, rate: float, **more: Any) -> dict[str, Any]:
    # Most of these trials precede the preset without the label.
    return {"prior_share": share, "generator_learning_rate": rate, "label_in_refiner": True, **more}


_ONE_CRITIC: Mapping[str, Any] = {
    "learner": "dp-sgd",
    "sampling_rate": 0.005,
    "rounds": 6000,
    "prior_share": 0.5,
    "keep_pool": True,
}
# From the plain release to `presets.COLOR`, setting by setting; the radii come with the colors.
COLOR_STEPS: tuple[Mapping[str, Any], ...] = (
    {},
    {n: v for n, v in COLOR.items() if n not in ("prior_shared_covariance", "prior_modes")},
    {n: v for n, v in COLOR.items() if n != "prior_modes"},
    COLOR,
)
# Gray photographs: covariances of their own or a shared one, its radius, and fewer modes.
SCAN_STEPS: tuple[Mapping[str, Any], ...] = (
    {},
    {"prior_shared_covariance": True},
    {"prior_shared_covariance": True, "prior_covariance_radius": 10.0},
    {"prior_shared_covariance": True, "prior_covariance_radius": 7.0},
    {"prior_shared_covariance": True, "prior_covariance_radius": 5.0},
    {"prior_shared_covariance": True, "prior_covariance_radius": 7.0, "prior_modes": 8},
)
# The reconstruction loss in the form `moments`: its weight, where it ends, and the form on a prior,
# beside the preset of that.
MOMENTS_TRIALS: tuple[Trial, ...] = tuple(
    (method, 10.0, {"dataset": dataset, **change})
    for method, changes in (
        (
            MATCHED,
            (
                {"reconstruction_target": "moments"},
                {"reconstruction_target": "moments", "reconstruction_weight": 0.05},
                {"reconstruction_target": "moments", "reconstruction_weight": 0.5},
                {"reconstruction_target": "moments", "reconstruction_weight": 1.5},
                {"reconstruction_target": "moments", "reconstruction_until": 0.5},
            ),
        ),
        (
            "efsgd-prior",
            (
                {},
                {"reconstruction_target": "moments"},
                {"reconstruction_target": "moments", "reconstruction_weight": 0.1},
            ),
        ),
    )
    for dataset in ("fashion_mnist", "mnist")
    for change in changes
)

TRIALS: tuple[Trial, ...] = (
    ("gaussian", 10.0, {}),
    ("mixture", 10.0, {}),
    *(("efsgd-prior", 10.0, _on_the_prior(*pair)) for pair in _PRIOR),
    *((MATCHED, 10.0, overrides) for overrides in _EFSGD),
    (MATCHED, 1e6, {}),  # is noise the limit?
    ("mixture", 1e6, {}),
    ("mixture", 1e6, {"prior_cells": 64, "prior_rank": 60}),  # or the number of cells?
    ("mixture", 10.0, {"prior_cells": 20, "prior_rank": 45}),
    ("gaussian", 1.0, {}),
    # Until the last of these trials the preset had eight cells at every budget.
    ("mixture", 1.0, {"prior_cells": 8}),
    *(("efsgd-prior", 1.0, _on_the_prior(0.8, 2e-3, prior_cells=cells)) for cells in (1, 8)),
    # Do smaller steps help where the noise is many times the signal?
    *(("efsgd-prior", 1.0, _on_the_prior(0.8, rate, prior_cells=8)) for rate in (2.5e-4, 5e-4)),
    ("efsgd-prior", 3.0, _on_the_prior(0.8, 2e-3, prior_cells=8)),
    ("efsgd-prior", 3.0, _on_the_prior(0.8, 7e-4, prior_cells=8)),
    # Does the refiner need the label, which the prior's image already shows?
    ("efsgd-prior", 10.0, _on_the_prior(0.8, 2e-3, label_in_refiner=False)),
    ("efsgd-prior", 1.0, _on_the_prior(0.8, 2e-3, prior_cells=8, label_in_refiner=False)),
    # Does a longer average of the generator's steps remove their noise?
    (
        "efsgd-prior",
        1.0,
        _on_the_prior(0.8, 2e-3, prior_cells=8, label_in_refiner=False, ema_decay=0.99),
    ),
    # How many cells can a budget afford?
    *(("mixture", 1.0, {"prior_cells": m, "seed": s}) for s in (0, 1, 2) for m in (1, 2, 4, 8)),
    *(
        ("mixture", epsilon, {"prior_cells": m, "seed": s})
        for epsilon in (3.0, 5.0)
        for s in (0, 1, 2)
        for m in (1, 8)
    ),
    # With one cell and no label: do the rounds lose accuracy by their steps or by their share?
    *(
        ("efsgd-prior", 1.0, {"generator_learning_rate": 5e-4, "prior_share": 0.8, "seed": s})
        for s in (0, 1, 2)
    ),
    *(
        ("efsgd-prior", 1.0, {"prior_share": share, "seed": s})
        for s in (0, 1, 2)
        for share in (0.8, 0.9, 0.95)
    ),
    # Does the frame of each image help the prior?
    *(
        ("mixture", epsilon, {"prior_frame": frame, "seed": s})
        for s in (0, 1, 2)
        for epsilon in (10.0, 1.0)
        for frame in (False, True)
    ),
    # And the paper's parts alone? Below, with appearance noise off, are the runs to compare with.
    *((MATCHED, 10.0, {"rounds_frame": True, "seed": s}) for s in (0, 1, 2)),
    # The prior for photographs, one setting after the other.
    *(
        ("gaussian", epsilon, {"dataset": "celeba", "seed": s, **step})
        for s in (0, 1, 2)
        for epsilon in (10.0, 1.0)
        for step in COLOR_STEPS
    ),
    # Does appearance noise help the paper's parts alone?
    *(
        (MATCHED, 10.0, {"appearance_noise": drawn, "seed": s})
        for s in (0, 1, 2)
        for drawn in (True, False)
    ),
    # One critic under DP-SGD on the prior, without owners: digits, digits in frames, clothes.
    ("efsgd-prior", 10.0, _ONE_CRITIC),
    ("efsgd-prior", 10.0, {**_ONE_CRITIC, "prior_frame": True}),
    ("efsgd-prior", 10.0, {**_ONE_CRITIC, "dataset": "fashion_mnist"}),
    *MOMENTS_TRIALS,
    # Chest X-rays: the prior for drawings, and the plain one, setting by setting.
    *(
        (method, epsilon, {"dataset": "pneumoniamnist", "seed": s, **step})
        for s in (0, 1, 2)
        for epsilon in (10.0, 1.0)
        for method, step in (("mixture", {}), *(("gaussian", step) for step in SCAN_STEPS))
    ),
)
