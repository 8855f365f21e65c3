"""Records made by hand, for tests of the tables and figures that are read from records."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from dpgen_core.config.make import make_config
from dpgen_core.records.record import Record, write_record

# The prepared subset by its public size, so that it need not be there.
CELEBA: dict[str, Any] = {"dataset": "celeba", "num_records": 37_540}


def a_sheet(color: str, size: tuple[int, int] = (30, 20)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, format="PNG")
    return buffer.getvalue()


def make_record(
    results: Path,
    *,
    dataset: str = "mnist",
    method: str = "efsgd",
    profile: str = "quick",
    seed: int = 0,
    epsilon: float = 10.0,
    color: str = "red",
    settings: dict[str, Any] | None = None,
    **metrics: float | None,
) -> Record:
    on = CELEBA if dataset == "celeba" else {"dataset": "mnist"}
    preset = make_config(**on, method=method, profile=profile, **(settings or {}))
    config = preset.replace(
        dataset=dataset,
        seed=seed,
        epsilon=epsilon,
        noise_multiplier=1.875 if preset.privacy.rounds else 0.0,
        prior_noise_multiplier=0.5 if preset.prior.modes else 0.0,
    )
    values = {"g2r_cnn": 0.8125, "training_seconds": 90.0, "fid": None} | metrics
    return write_record(
        results / config.record_name(),
        config=config,
        run={"device": "cpu", "cores": 2},
        privacy={
            "epsilon": {"rdp": 0.99 * epsilon, "pld": 0.95 * epsilon},
            "delta": 1e-5,
            "num_records": config.privacy.num_records,
            "rounds": config.privacy.rounds,
        },
        metrics=values,
        history=pd.DataFrame({"round": [1]}),
        diagnostics=pd.DataFrame({"round": [1]}),
        samples_png=a_sheet(color),
        synthetic={"labels": np.zeros(1)},
    )
