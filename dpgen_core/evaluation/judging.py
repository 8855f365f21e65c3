"""Judge a finished set by a protocol: one call, one JSON-ready answer with all its settings.

What comes back is computed from real records and is outside the privacy guarantee.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.deep_features import reference_features
from dpgen_core.evaluation.deep_judge import train_judge
from dpgen_core.evaluation.looks import looks
from dpgen_core.evaluation.metrics import evaluate, frechet_distance
from dpgen_core.evaluation.protocols import PROTOCOLS, DeepProtocol, Protocol, describe
from dpgen_core.evaluation.simple_judges import simple_accuracies
from dpgen_core.streams import stream

SEEDS = (0, 1, 2)


def judge_set(
    synthetic: ImageData,
    real_train: ImageData,
    real_test: ImageData,
    *,
    protocol: str | Protocol,
    seeds: Sequence[int] = SEEDS,
    device: str = "auto",
    cache_dir: Path | None = None,
) -> dict[str, Any]:
    """Figures of one set by a protocol, for each seed of the judges.

    Args:
        synthetic: the set; of one that is larger than the protocol asks for, a random part.
        real_train: what the generator learned from. Reference features and, where the protocol
            says so, the choice of the epoch are from here.
        real_test: decides nothing, whatever the protocol.
        protocol: a name in `PROTOCOLS`, or settings of one's own.
        seeds: of the judges. The reference judge of ``deep`` always has the same one.
        device: ``auto`` takes CUDA where there is one.
        cache_dir: keeps what was learned from real data, which is private; None keeps nothing.

    Returns:
        ``protocol`` (all settings), ``images`` used, ``real_records``, and ``runs``, one entry a
        seed: of ``quick`` the metrics of `metrics.evaluate`, of the others ``accuracy`` and
        ``fall`` (means over networks), ``forest``, ``linear``, and by network the accuracy after
        each epoch. Beside these ``deep`` and ``dpimagebench`` have ``looks`` of the set and of real
        test images, ``frechet_deep``, and its floor (real training images).

    Raises:
        InvalidArgument: an unknown name, no seeds, or sets that do not belong together.
    """
    settings = protocol_of(protocol)
    require(len(seeds) > 0, "seeds", tuple(seeds), "at least one", f"seeds={SEEDS}")
    for seed in seeds:
        check_int("seeds", seed, low=0, fix=f"seeds={SEEDS}")
    found: dict[str, Any] = {"protocol": describe(settings)}
    found["images"] = min(settings.synthetic_records, len(synthetic.labels))
    found["real_records"] = len(real_train.labels)
    if not isinstance(settings, DeepProtocol):
        sets = (synthetic, real_train, real_test)
        options: dict[str, Any] = {"settings": settings, "cache_dir": cache_dir}
        found["runs"] = [{"seed": s, **evaluate(*sets, seed=s, **options)} for s in seeds]
        return found
    part = _part(synthetic, settings.synthetic_records, "judged")
    where: dict[str, Any] = {"device": device, "cache_dir": cache_dir}
    features = reference_features(real_train, real_test, settings, **where)
    made, known, seen = (
        features(_part(data, settings.feature_records, "features").images)
        for data in (part, real_train, real_test)
    )
    found["frechet_deep"] = frechet_distance(made, seen)
    found["frechet_deep_floor"] = frechet_distance(known, seen)
    found["looks"], found["looks_real"] = looks(part.images), looks(real_test.images)
    found["runs"] = [_run(part, real_train, real_test, settings, seed, device) for seed in seeds]
    for name in ("accuracy", "fall", "forest", "linear"):
        found[name] = mean(run[name] for run in found["runs"])
    return found


def protocol_of(protocol: str | Protocol) -> Protocol:
    """The settings behind a name; settings are passed through."""
    if not isinstance(protocol, str):
        return protocol
    check_choice("protocol", protocol, PROTOCOLS)
    return PROTOCOLS[protocol]


def _run(
    made: ImageData,
    train: ImageData,
    test: ImageData,
    settings: DeepProtocol,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """All judges of one seed."""
    count = min(settings.held_out, len(train.labels))
    choose_on = _part(train, count, "chooses") if settings.chosen_on == "real" else None
    networks, accuracies, falls = {}, [], []
    for name in settings.networks:
        options: dict[str, Any] = {"network": name, "seed": seed, "device": device}
        judged = train_judge(made, test, settings, choose_on=choose_on, **options)
        accuracies.append(judged.accuracy)
        falls.append(judged.fall)
        networks[name] = judged.figures()
    simple = simple_accuracies(_part(made, settings.simple_records, "simple"), test, seed=seed)
    run = {"seed": seed, "accuracy": mean(accuracies), "fall": mean(falls)}
    return run | simple | {"networks": networks}


def _part(data: ImageData, count: int, name: str) -> ImageData:
    """`count` images by a public permutation; the same whatever the seed of the judge."""
    if len(data.labels) <= count:
        return data
    order = torch.randperm(len(data.labels), generator=stream(0, name, len(data.labels)))
    return data.at(order[:count])
