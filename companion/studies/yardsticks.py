"""The prior's samples by every protocol, with each contrast curve, with dither and with grain.

``python -m companion.studies.yardsticks [--list]`` samples each set of `SETS` anew from its release,
judges it, and adds the answer to ``results/yardsticks.json``; what is there already is left alone,
so that it may be stopped at any moment. The release of a set is that of the record of the same
method, budget and seed: curve, dither and grain change nothing before the sampling.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from companion.studies.resumable import add_answer, load_answers, make_missing
from companion.studies.train_alone import sample_alone
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.dither import DITHER, GRAIN
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.judging import judge_set, protocol_of
from dpgen_core.models.generators import Curve
from dpgen_core.records.provenance import provenance

YARDSTICKS_FILE = "yardsticks.json"
REAL = "real"


@dataclass(frozen=True)
class JudgedSet:
    """A set to judge; `method` ``real`` is the training records themselves."""

    dataset: str
    method: str
    epsilon: float = 10.0
    seed: int = 0  #: of the release and of the judges
    curve: Curve = "full-range"
    dither: float = 0.0
    grain: float = 0.0

    def name(self) -> str:
        """Its entry in the file; most were made before there was grain, and do not name it."""
        shown = {n: v for n, v in asdict(self).items() if n != "grain" or v}
        return ", ".join(f"{name} {value}" for name, value in shown.items())

    def config(self, num_records: int) -> ExperimentConfig:
        """Of the run that would release the same and sample this set."""
        return make_config(
            **{name: getattr(self, name) for name in ("dataset", "method", "epsilon", "seed")},
            num_records=num_records,
            prior_curve=self.curve,
            dither=self.dither,
            grain=self.grain,
        )

    def record_name(self, answer: Mapping[str, Any]) -> str:
        """Of the record that may hold it, given the answer of its judges."""
        return self.config(answer["real_records"]).record_name()

    def protocols(self) -> tuple[str, ...]:
        """By which it is judged here: of other sets the records hold what ``quick`` says."""
        recorded = not self.method.startswith("mixture") or self.curve == "logistic"
        return ("deep",) if recorded else ("deep", "quick")

    def sample(self, records: ImageData, count: int) -> ImageData:
        """`count` images. A record of this method and seed holds the first of them."""
        if self.method == REAL:
            return records
        return sample_alone(self.config(len(records.labels)), records, count=count)[0]


def _sets() -> Iterator[JudgedSet]:
    """The most informative first."""
    for seed in (0, 1, 2):
        for epsilon in (10.0, 1.0):
            for dataset in ("fashion_mnist", "mnist"):
                at: dict[str, Any] = {"dataset": dataset, "epsilon": epsilon, "seed": seed}
                yield JudgedSet(method="mixture", **at)
                yield JudgedSet(method="mixture", dither=DITHER, **at)
                yield JudgedSet(method="mixture", grain=GRAIN, **at)
                yield JudgedSet(method="mixture", curve="logistic", **at)
                yield JudgedSet(method="gaussian", curve="logistic", **at)  # which changes nothing
    for dataset in ("fashion_mnist", "mnist"):
        yield JudgedSet(dataset, REAL)
    for seed in (0, 1, 2):
        for epsilon in (10.0, 1.0):
            framed: dict[str, Any] = {"dataset": "mnist", "epsilon": epsilon, "seed": seed}
            framed["method"] = "mixture/with-frame"
            yield JudgedSet(**framed)
            yield JudgedSet(dither=DITHER, **framed)
            yield JudgedSet(grain=GRAIN, **framed)


SETS: tuple[JudgedSet, ...] = tuple(_sets())


def load_yardsticks(results: Path) -> dict[str, Any]:
    """What was judged so far: protocol -> set's name -> answer of `judge_set`."""
    return load_answers(results / YARDSTICKS_FILE)


def judge(
    one: JudgedSet, protocol: str, records: ImageData, test: ImageData, cache: Path
) -> dict[str, Any]:
    """The answer for one set, with what the set is and the seconds of processor it took."""
    count = protocol_of(protocol).synthetic_records
    made, started = one.sample(records, count), time.process_time()
    found = judge_set(*(made, records, test), protocol=protocol, seeds=(one.seed,), cache_dir=cache)
    found["processor_seconds"] = round(time.process_time() - started, 1)
    return {"set": asdict(one)} | found


def missing(results: Path) -> list[tuple[JudgedSet, str]]:
    """The sets and protocols that the file has no answer for, in order."""
    found = load_yardsticks(results)
    pairs = ((one, protocol) for one in SETS for protocol in one.protocols())
    return [(one, name) for one, name in pairs if one.name() not in found.get(name, {})]


def run_all(left: Sequence[tuple[JudgedSet, str]], results: Path) -> None:
    """Judge these sets; the file is whole after each."""
    loaded: dict[str, tuple[ImageData, ImageData]] = {}
    for one, protocol in left:
        if one.dataset not in loaded:
            loaded[one.dataset] = load(one.dataset, "train"), load(one.dataset, "test")
        answer = judge(one, protocol, *loaded[one.dataset], results / ".work" / "judges")
        made_with = provenance(torch.device("cpu"))
        add_answer(results / YARDSTICKS_FILE, protocol, one.name(), answer, made_with=made_with)
        print(one.name(), protocol, _short(answer), flush=True)


def _short(answer: Mapping[str, Any]) -> str:
    (run,) = answer["runs"]
    names = ("accuracy", "g2r_cnn", "forest", "frechet_distance", "recall")
    return ", ".join(f"{name} {run[name]:.4f}" for name in names if name in run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("yardsticks", __doc__, arguments),
        missing=missing,
        run_all=run_all,
        named=lambda pair: f"{pair[1]}: {pair[0].name()}",
    )


if __name__ == "__main__":
    sys.exit(main())
