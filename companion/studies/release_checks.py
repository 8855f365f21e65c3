"""Checks that nothing but the releases leaves the private side, and that no draw is used twice.

Each check runs the real code and asks one question whose answer the guarantee fixes:

* *coins*: does another key, and does another attempt, draw other contributors?
* *post-processing*: fed equal releases, do two trainers with other data, other coins and no private
  figures stay equal bit for bit in all that is public?
* *prior*: with the noised values forced equal, are priors of two data sets equal bit for bit?
* *streams*: is every hidden stream of a run opened once, attempts included, and none of them, and
  nothing that must be hidden, under the public seed?
* *published*: with the releases forced equal, do runs on two data sets under two keys write equal
  files outside ``private/``?

`release_faults` plants what each must notice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from companion.studies.training_checks import Finding
from dpgen_core import experiment
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData, load
from dpgen_core.prior import gaussian, mixture
from dpgen_core.streams import Opened, recorded_streams
from dpgen_core.training import critic_trainer, owner_trainer, session, workspace
from dpgen_core.training.report import RoundReport
from dpgen_core.training.session import TRAINERS, make_prior

KEYS = ("0" * 64, "f" * 64)
METHODS = ("efsgd", "efsgd-prior", "dp-sgd-critic")
# What may be drawn from the public seed; coins, noise and the order of files are not among it.
PUBLIC_DRAWS = frozenset(
    {
        *("shards", "round", "pool", "pool-injection", "injection", "owners", "generator"),
        *("samples", "snapshots", "cells", "glyphs", "subset", "held-out"),
        *("rows", "split", "order"),  # of the judges, which see no secret
    }
)
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:+.-]+")  # of the run, which no record decides
_CPU = torch.device("cpu")


def small_config(method: str, **changes: Any) -> ExperimentConfig:
    """A run of a second or two on `glyphs`, with a cohort that is seldom the expected one."""
    values: dict[str, Any] = {
        "dataset": "glyphs",
        "method": method,
        "profile": "smoke",
        "num_records": 300,
        "rounds": 4,
        "noise_source": "secret",
        "synthetic_records": 20,
        "real_records": 20,
    }
    if method.startswith("efsgd"):
        values |= {"num_shards": 30, "sampling_rate": 0.4}
    if method in ("mixture", "efsgd-prior"):
        values |= {"prior_cells": 2}
    if method in ("gaussian", "mixture"):
        del values["rounds"]
    return make_config(**values | changes)


def neighbors(count: int = 300) -> tuple[ImageData, ImageData]:
    """Two data sets that differ in one record, image and label."""
    data = load("glyphs", "train", num_records=count, seed=0)
    images, labels = data.images.clone(), data.labels.clone()
    images[7], labels[7] = 1.0 - images[7], (labels[7] + 1) % 10
    return data, ImageData(data.name, images, labels, data.class_names)


def check_coins() -> Finding:
    """Contributors of six rounds, by key and attempt."""
    data, _ = neighbors()
    twice = 0
    for method in ("efsgd", "dp-sgd-critic"):
        config = small_config(method, sampling_rate=0.4)
        drawn = set()
        for key in KEYS:
            trainer = _trainer(config, data, key)
            for attempt in (0, 1):
                joined = [trainer._join(index, attempt).tolist() for index in range(6)]
                drawn.add(str(joined))
        twice += 4 - len(drawn)
    return Finding("coins", f"{twice} draws seen twice", "0", twice == 0)


def check_post_processing() -> Finding:
    """Two trainers that share releases and public figures, and nothing else."""
    one, other = neighbors()
    differing = []
    for method in METHODS:
        config = small_config(method)
        prior = make_prior(config, one, KEYS[0], device=_CPU) if config.prior.modes else None
        pair: list[Any] = [
            TRAINERS[config.privacy.learner](config, data, key, device=_CPU, prior=prior)
            for data, key in zip((one, other), KEYS, strict=True)
        ]
        for trainer in pair:
            trainer.warm_up()
        for index in range(config.privacy.rounds):
            report, theirs = (trainer.compute(index) for trainer in pair)
            nothing = dict.fromkeys(theirs.private, float("nan"))
            pair[0].apply(report)
            pair[1].apply(RoundReport(report.release, report.public, nothing))
        ours, theirs_too = (trainer.public_tensors() for trainer in pair)
        if not all(torch.equal(ours[name], theirs_too[name]) for name in ours):
            differing.append(method)
    found = ", ".join(differing) or "equal"
    return Finding("post-processing", found, "equal", not differing)


def check_prior() -> Finding:
    """Priors of two data sets whose noised sums are forced to be the first one's."""
    one, other = neighbors()
    differing = []
    for method in ("gaussian", "mixture"):
        config = small_config(method)
        kept: list[Tensor] = []
        with forced_releases(kept):
            first = make_prior(config, one, KEYS[0], device=_CPU)
        with forced_releases(kept, replay=True):
            second = make_prior(config, other, KEYS[1], device=_CPU)
        pairs = zip(first.tensors().values(), second.tensors().values(), strict=True)
        if not all(torch.equal(a, b) for a, b in pairs):
            differing.append(method)
    return Finding("prior", ", ".join(differing) or "equal", "equal", not differing)


def check_streams() -> Finding:
    """Every stream that rounds and prior open, two attempts of each."""
    data, _ = neighbors()
    wrong: list[str] = []
    for method in (*METHODS, "gaussian", "mixture"):
        config, key = small_config(method), KEYS[0]
        with recorded_streams() as opened:
            prior = None
            if config.prior.modes:
                prior = make_prior(config, data, key, device=_CPU)
                make_prior(config, data, key, device=_CPU, attempt=1)
            if config.privacy.rounds:
                learner = TRAINERS[config.privacy.learner]
                trainer = learner(config, data, key, device=_CPU, prior=prior)
                for index in range(2):
                    trainer.apply(trainer.compute(index))
                    trainer.compute(index, 1)
        wrong += [f"{method}: {text}" for text in wrong_streams(opened, key)]
    return Finding("streams", "; ".join(wrong[:3]) or "each once", "each once", not wrong)


def wrong_streams(opened: Sequence[Opened], key: str) -> list[str]:
    """What is wrong with the streams of one run: one line each, none when all is well.

    Args:
        opened: (kind, key, path) from `recorded_streams`; kind is ``hidden`` or ``stream``.
        key: the run's secret key, with which every hidden stream's key begins.
    """
    hidden = Counter((used, path) for kind, used, path in opened if kind == "hidden")
    lines = [f"{path} opened {n} times" for (_, path), n in hidden.items() if n > 1]
    lines += [f"{path} under another key" for used, path in hidden if not str(used).startswith(key)]
    for kind, used, path in opened:
        if kind == "stream" and (path[0] not in PUBLIC_DRAWS or key in str(used)):
            lines.append(f"{path} from a public stream")
    return lines


def check_published() -> Finding:
    """Whole runs on neighbors under different keys, with equal releases; folders byte by byte."""
    differing = []
    for method in (*METHODS, "mixture"):
        kept: list[Tensor] = []
        folders = []
        with TemporaryDirectory() as scratch:
            for number, data in enumerate(neighbors()):
                place = Path(scratch) / str(number)
                with forced_releases(kept, replay=number > 0):
                    folders.append(published(small_config(method), data, KEYS[number], place))
        differing += [
            f"{method}: {name}"
            for name in folders[0]
            if folders[0] != folders[1] and folders[0][name] != folders[1].get(name)
        ]
        if folders[0].keys() != folders[1].keys():
            differing.append(f"{method}: other files")
    found = ", ".join(differing[:4]) or "equal"
    return Finding("published", found, "equal", not differing)


def published(config: ExperimentConfig, data: ImageData, key: str, place: Path) -> dict[str, bytes]:
    """Run `config` on `data` under `key`; what it wrote outside ``private/``, by file name.

    Archives are compared by their arrays, and the time of the run is left out.
    """
    with (
        patch.object(workspace, "secret_key", lambda *_: key),
        patch.object(experiment, "_records", lambda *_: data),
        patch.object(experiment, "evaluate", lambda *_, **__: {}),
    ):
        record = experiment.run_experiment(config, results_dir=place, progress=False, device="cpu")
    files = {}
    for path in sorted(record.path.rglob("*")):
        name = str(path.relative_to(record.path))
        if not path.is_file() or name.startswith("private"):
            continue
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                files[name] = b"".join(archive[part].tobytes() for part in sorted(archive))
        else:
            files[name] = _TIME.sub(b"", path.read_bytes())
    return files


@contextmanager
def forced_releases(kept: list[Tensor], *, replay: bool = False) -> Iterator[None]:
    """Note everything that passes the last step of a release; with `replay` pass that on instead."""
    honest, place = gaussian.rounded, iter(list(kept))

    def noting(noisy: Tensor, noise_std: float) -> Tensor:
        kept.append(honest(noisy, noise_std))
        return kept[-1]

    def replaying(noisy: Tensor, noise_std: float) -> Tensor:
        return next(place)

    with ExitStack() as stack:
        for module in (gaussian, mixture, owner_trainer, critic_trainer):
            stack.enter_context(patch.object(module, "rounded", replaying if replay else noting))
        yield


def _trainer(config: ExperimentConfig, data: ImageData, key: str) -> Any:
    return session.TRAINERS[config.privacy.learner](config, data, key, device=_CPU)


CHECKS: Mapping[str, Callable[[], Finding]] = MappingProxyType(
    {
        "coins": check_coins,
        "post-processing": check_post_processing,
        "prior": check_prior,
        "streams": check_streams,
        "published": check_published,
    }
)
