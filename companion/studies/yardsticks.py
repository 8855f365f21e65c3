"""Sets of each method by every protocol: as they come, with dither, and with grain.

``python -m companion.studies.yardsticks [--list]`` samples each set of `SETS` from its release, judges
it, and adds the answer to ``results/yardsticks.json``; what is there already is left alone, so that it
may be stopped at any moment.

The release of a set is that of the record of the same method, budget and seed. Curve, dither and grain
change nothing before the sampling, so all sets of one release share it. Where the folder of the results
has the record's generator, which is not committed, it is taken from there; else it is made anew.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from companion.studies.campaign import RUNS
from companion.studies.resumable import add_answer, load_answers, make_missing
from companion.studies.train_alone import train_alone
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import FRAMED_GRAINED, GRAINED, METHODS as PRESETS
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.dither import DITHER, GRAIN
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.judging import judge_set, protocol_of
from dpgen_core.models.generators import Curve
from dpgen_core.records.provenance import provenance
from dpgen_core.training.sampler import GENERATOR_FILE, Generator, load as load_generator

YARDSTICKS_FILE = "yardsticks.json"
REAL = "real"
# By data set, the recommended method first: as they come, with dither, and with grain.
METHODS: Mapping[str, tuple[str, ...]] = {
    "fashion_mnist": ("mixture", "efsgd", "efsgd-prior", "dp-sgd-critic/with-prior"),
    "mnist": ("mixture/with-frame", "efsgd", "efsgd-prior", "dp-sgd-critic/with-prior"),
    "celeba": ("gaussian/with-color", "efsgd-prior/with-color"),
}
# Largest grain of the control: of faces, which fill the image, less is best, see `sample_noise`.
GRAINS: Mapping[str, float] = {"fashion_mnist": GRAIN, "mnist": GRAIN, "celeba": 0.1}
# Beside them, as they come only.
PLAIN: Mapping[str, tuple[str, ...]] = {
    "fashion_mnist": (GRAINED, "gaussian"),
    "mnist": (FRAMED_GRAINED, GRAINED, "mixture", "gaussian"),
    "celeba": ("mixture/with-color", "efsgd"),
}
EPSILONS, SEEDS = (10.0, 1.0), (0, 1, 2)
# What more budget buys: one method of each kind of image, by ``deep`` alone; no run of the campaign.
BUDGETS = (100.0, 3.0, 0.3)
BY_BUDGET: Mapping[str, str] = {
    "fashion_mnist": GRAINED,
    "mnist": FRAMED_GRAINED,
    "celeba": "gaussian/with-color",
}
_RECORDED = {(run.dataset, run.method, run.epsilon) for run in RUNS}
FORMER, FORMER_SEEDS = ("fashion_mnist", "mnist"), (0, 1)  # with the former contrast curve


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
            # A method may have noise of its own.
            **{name: value for name in ("dither", "grain") if (value := getattr(self, name))},
        )

    def record_name(self, answer: Mapping[str, Any]) -> str:
        """Of the record that may hold it, given the answer of its judges."""
        return self.config(answer["real_records"]).record_name()

    def protocols(self) -> tuple[str, ...]:
        """By which it is judged: what ``quick`` says of a set as it comes, its record holds.

        Records of a mixture have the former curve, but for those with grain of their own.
        """
        if self.method == REAL:
            return ("deep",)
        recommended = self.method == METHODS.get(self.dataset, (self.method,))[0]
        changed = recommended and bool(self.dither or self.grain)
        unrecorded = self.curve == "full-range" and self.method not in (GRAINED, FRAMED_GRAINED)
        plain = self == self.released_by()
        return ("deep", "quick") if changed or (plain and unrecorded) else ("deep",)

    def released_by(self) -> JudgedSet:
        """The set of the same release as its record holds it."""
        return replace(self, curve=usual_curve(self.method), dither=0.0, grain=0.0)

    def release(self, records: ImageData, results: Path) -> Generator:
        """The generator of all sets that `released_by` names alike: a record's, or made anew."""
        config = self.released_by().config(len(records.labels))
        kept = results / config.record_name() / GENERATOR_FILE
        if kept.is_file():
            return load_generator(kept)
        trainer = train_alone(config, records, device=torch.device("cpu"))
        return trainer.released(records.class_names)

    def sample(self, generator: Generator, count: int) -> ImageData:
        """`count` images from the `release`. A record of this method and seed holds the first of them."""
        config = self.config(generator.config.privacy.num_records)
        return replace(generator, config=config).sample(count=count)


def usual_curve(method: str) -> Curve:
    """The contrast curve of the preset; of a method that has none, one that changes nothing."""
    curve: Curve = PRESETS[method.partition("/")[0]].get("prior_curve", "logistic")
    return curve


def _sets() -> Iterator[JudgedSet]:
    """The most informative first."""
    places = list(itertools.product(SEEDS, EPSILONS, METHODS))
    recommended = {dataset: methods[:1] for dataset, methods in METHODS.items()}
    yield from _changed(recommended, places)
    yield from (JudgedSet(dataset, REAL) for dataset in METHODS)
    yield from _changed(METHODS, places)
    for seed, epsilon, dataset in places:
        for method in PLAIN[dataset]:
            yield JudgedSet(dataset, method, epsilon, seed, usual_curve(method))
    for seed, epsilon, (dataset, method) in itertools.product(SEEDS, BUDGETS, BY_BUDGET.items()):
        yield JudgedSet(dataset, method, epsilon, seed, usual_curve(method))
    for seed, epsilon, dataset in itertools.product(FORMER_SEEDS, EPSILONS, FORMER):
        yield JudgedSet(dataset, "mixture", epsilon, seed, curve="logistic")


def _changed(
    methods: Mapping[str, Sequence[str]], places: Sequence[tuple[int, float, str]]
) -> Iterator[JudgedSet]:
    """Sets as they come, with dither, and with grain, in this order of seed, budget and data set."""
    for seed, epsilon, dataset in places:
        for method in methods[dataset]:
            plain = JudgedSet(dataset, method, epsilon, seed, usual_curve(method))
            if (dataset, method, epsilon) in _RECORDED:
                yield from (
                    plain,
                    replace(plain, dither=DITHER),
                    replace(plain, grain=GRAINS[dataset]),
                )


SETS: tuple[JudgedSet, ...] = tuple(dict.fromkeys(_sets()))


def load_yardsticks(results: Path) -> dict[str, Any]:
    """What was judged so far: protocol -> set's name -> answer of `judge_set`."""
    return load_answers(results / YARDSTICKS_FILE)


def judge(
    one: JudgedSet, protocol: str, made: ImageData, records: ImageData, test: ImageData, cache: Path
) -> dict[str, Any]:
    """The answer for one set, `made`, with what the set is and the judges' seconds of processor."""
    started = time.process_time()
    found = judge_set(*(made, records, test), protocol=protocol, seeds=(one.seed,), cache_dir=cache)
    found["processor_seconds"] = round(time.process_time() - started, 1)
    return {"set": asdict(one)} | found


def missing(results: Path) -> list[tuple[JudgedSet, str]]:
    """The sets and protocols that the file has no answer for, in order."""
    found = load_yardsticks(results)
    pairs = ((one, protocol) for one in SETS for protocol in one.protocols())
    return [(one, name) for one, name in pairs if one.name() not in found.get(name, {})]


def run_all(left: Sequence[tuple[JudgedSet, str]], results: Path) -> None:
    """Judge these sets; the file is whole after each. A release is made once for sets in a row."""
    loaded: dict[str, tuple[ImageData, ImageData]] = {}
    released: dict[JudgedSet, Generator] = {}  # the last one
    for one, protocol in left:
        if one.dataset not in loaded:
            loaded[one.dataset] = load(one.dataset, "train"), load(one.dataset, "test")
        records, test = loaded[one.dataset]
        made = records
        if one.method != REAL:
            source = one.released_by()
            if source not in released:
                released = {source: one.release(records, results)}
            made = one.sample(released[source], protocol_of(protocol).synthetic_records)
        answer = judge(one, protocol, made, records, test, results / ".work" / "judges")
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
