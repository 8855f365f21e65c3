"""What only a GPU can show, in at most ten minutes of one: ``results/gpu.json`` and records.

``python -m companion.studies.benchmarks.gpu_session --out FOLDER [STEP ...]`` runs all steps in
order of value, or those that are named; each is saved when it is done, and one that fails leaves
the others alone. It needs no network. ``--toy`` runs the same code at toy size on any machine.

=============  ====================================================================
step           what it does
=============  ====================================================================
critics        the batched critics against the loop over critics
efsgd-prior    a record of ``efsgd-prior`` on MNIST at the profile ``paper``
diffusion      the private diffusion model on two data sets (`companion.studies.diffusion`)
efsgd          a record of ``efsgd`` on MNIST at the profile ``paper``
judges         the deep judge on real images, on the prior's and on the sets made here
quick          the usual metrics of the sets that ``diffusion`` left on disk; needs no GPU
=============  ====================================================================
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.studies.benchmarks import ensembles
from companion.studies.benchmarks.gpu_sizes import TOY, Sizes
from companion.studies.benchmarks.timing import finish
from companion.studies.diffusion.sampling import sample
from companion.studies.diffusion.training import (
    DiffusionSettings,
    DiffusionTrainer,
    prior_images,
    rounds_of,
)
from dpgen_core.accounting.events import epsilon_of_events
from dpgen_core.checks import check_choice
from dpgen_core.config.budget import planned_events
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.dither import dithered
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.deep_judge import train_judge
from dpgen_core.evaluation.metrics import evaluate
from dpgen_core.experiment import run_experiment
from dpgen_core.files import write_whole
from dpgen_core.pixels import to_bytes
from dpgen_core.records.provenance import provenance
from dpgen_core.records.sheets import png_bytes, sample_sheet
from dpgen_core.streams import secret_key
from dpgen_core.training.session import make_prior

GPU_FILE = "gpu.json"


class Session:
    """The steps of one session; what they find is in `found`, by step."""

    def __init__(self, out: Path, sizes: Sizes, device: torch.device, commit: str | None) -> None:
        self.out, self.sizes, self.device = out, sizes, device
        out.mkdir(parents=True, exist_ok=True)
        path = out / GPU_FILE
        self._made: dict[str, ImageData] = {}
        self.found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        if "made_with" in self.found:
            return  # of the machine that measured
        made_with = provenance(device)
        # Where the code travels without its history, another repository may hold it there.
        self.found["made_with"] = made_with | {"commit": commit or made_with["commit"]}

    def save(self) -> None:
        """Write what was found so far, in one step."""
        write_whole(self.out / GPU_FILE, json.dumps(self.found, indent=2) + "\n")

    def critics(self) -> None:
        """The batched critics against the loop over critics."""
        self.found["critics"] = []
        for critic, width in self.sizes.loops:
            row = ensembles.against_the_loop(critic, width, self.sizes.cohort, self.device.type)
            self.found["critics"].append(row)
            print(row, flush=True)
            self.save()

    def diffusion(self) -> None:
        """The private diffusion model on each data set."""
        rows = self.found.setdefault("diffusion", {})
        pairs = zip(self.sizes.sets, self.sizes.seconds, strict=True)
        for (dataset, epsilon), seconds in pairs:
            rows[f"{dataset}, epsilon {epsilon:g}"] = self._train(dataset, epsilon, seconds)
            self.save()

    def judges(self) -> None:
        """The deep judge on every set, three seeds each, with and without dither."""
        rows = self.found.setdefault("judges", {})
        for dataset, epsilon in self.sizes.sets:
            test, made = self._test(dataset), dict(self._sets(dataset, epsilon))
            for name, images in made.items():
                for suffix, data in (("", images), (", dithered", dithered(images))):
                    rows[f"{dataset}, {name}{suffix}"] = [
                        self._judge(data, test, seed) for seed in self.sizes.judge_seeds
                    ]
                    print(dataset, name + suffix, rows[f"{dataset}, {name}{suffix}"], flush=True)
                    self.save()

    def quick(self) -> None:
        """The usual metrics of the sets that `diffusion` left in the folder."""
        rows = self.found.setdefault("quick", {})
        for dataset, epsilon in self.sizes.sets:
            config = self._config(dataset, epsilon, 2)
            train = load(dataset, "train", num_records=config.privacy.num_records)
            test = self._test(dataset)
            for name in ("pretrained", "diffusion"):
                stored = np.load(self.out / f"{dataset}-{name}.npz")
                images, labels = (torch.from_numpy(stored[part]) for part in ("images", "labels"))
                made = _named(name, images.float() / 255, labels, train)
                sheet = sample_sheet(made.images, labels, class_names=train.class_names)
                path = self.out / f"gpu-{dataset}-{name}.png"
                path.write_bytes(png_bytes(sheet, colors=32))
                settings = config.evaluation
                found = evaluate(made, train, test, settings=settings, seed=config.seed)
                rows[f"{dataset}, {name}"] = found
                print(dataset, name, found, flush=True)
                self.save()

    def record(self, method: str) -> None:
        """A record of `method`."""
        sizes = self.sizes
        config = make_config(
            dataset=sizes.record_dataset,
            method=method,
            profile=sizes.profile,
            num_records=sizes.records,
        )
        started = time.perf_counter()
        record = run_experiment(
            config, results_dir=self.out / "records", progress=False, device=self.device.type
        )
        path = record.path / "config.json"
        written = json.loads(path.read_text())
        written["run"]["commit"] = self.found["made_with"]["commit"]
        write_whole(path, json.dumps(written, indent=2) + "\n")
        minutes = (time.perf_counter() - started) / 60
        row = {"record": record.path.name, "minutes": minutes, "g2r_cnn": record.metrics["g2r_cnn"]}
        self.found.setdefault("records", {})[method] = row
        print(row, flush=True)

    def _config(self, dataset: str, epsilon: float, rounds: int) -> ExperimentConfig:
        sizes = self.sizes
        return make_config(
            dataset=dataset,
            method="dp-sgd-critic/with-prior",
            profile=sizes.set_profile,
            num_records=sizes.records,
            epsilon=epsilon,
            prior_share=sizes.prior_share,
            rounds=rounds,
            sampling_rate=sizes.sampling_rate,
            max_grad_norm=sizes.max_grad_norm,
        )

    def _train(self, dataset: str, epsilon: float, seconds: float) -> dict[str, Any]:
        sizes, config = self.sizes, self._config(dataset, epsilon, 100)
        train = load(dataset, "train", num_records=config.privacy.num_records)
        on_device = ImageData(
            train.name,
            train.images.to(self.device),
            train.labels.to(self.device),
            train.class_names,
        )
        key = secret_key("seeded", config.seed)
        prior = make_prior(config, train, key, device=self.device)
        many = prior_images(prior, sizes.diffusion.prior_images, seed=0, device=self.device)
        settings, rounds = self._affordable(config, on_device, many, seconds)
        config = self._config(dataset, epsilon, rounds)
        trainer = DiffusionTrainer(config, settings, device=self.device)
        losses: list[float] = []
        started = time.perf_counter()
        trainer.pretrain(*many, lambda _, loss: losses.append(loss))
        pretraining_seconds = time.perf_counter() - started
        before = self._score(trainer, train, "pretrained", sizes.judged_before, (0,))
        started = time.perf_counter()
        history = list(rounds_of(trainer, on_device, key, 1.3 * seconds))
        training_seconds = time.perf_counter() - started
        after = self._score(trainer, train, "diffusion", sizes.synthetic, sizes.judge_seeds)
        spent = epsilon_of_events(
            planned_events(config.replace(rounds=len(history))),
            delta=config.privacy.delta,
            relation=config.privacy.relation,
            accountant="rdp",
        )
        row = {
            "epsilon": spent,
            "delta": config.privacy.delta,
            "rounds": len(history),
            "noise_multiplier": config.privacy.noise_multiplier,
            "prior_noise_multiplier": config.privacy.prior_noise_multiplier,
            "sampling_rate": config.privacy.sampling_rate,
            "max_grad_norm": config.privacy.max_grad_norm,
            "settings": asdict(settings),
            "pretraining_seconds": pretraining_seconds,
            "training_seconds": training_seconds,
            "pretraining_losses": losses,
            "norm_medians": [entry["norm_median"] for entry in history],
            "pretrained": before,
            "trained": after,
        }
        print({k: v for k, v in row.items() if not isinstance(v, list)}, flush=True)
        return row

    def _affordable(
        self,
        config: ExperimentConfig,
        data: ImageData,
        many: tuple[Tensor, Tensor],
        seconds: float,
    ) -> tuple[DiffusionSettings, int]:
        """Steps of pretraining and rounds that fit, by the time of a few that are thrown away."""
        few = replace(self.sizes.diffusion, pretraining_steps=10)
        trainer = DiffusionTrainer(config, few, device=self.device)
        each_step = self._seconds(lambda: trainer.pretrain(*many)) / 10
        each_round = self._seconds(lambda: trainer.step(data, 0, "timing"))
        print(f"{each_step:.4f} s a step, {each_round:.3f} s a round", flush=True)
        steps = max(2, min(20_000, int(self.sizes.pretraining_seconds / each_step)))
        rounds = max(2, min(self.sizes.most_rounds, int(seconds / each_round)))
        return replace(self.sizes.diffusion, pretraining_steps=steps), rounds

    def _seconds(self, call: Callable[[], object]) -> float:
        """Of the second call; the first one warms up."""
        call()
        finish(self.device)
        started = time.perf_counter()
        call()
        finish(self.device)
        return time.perf_counter() - started

    def _score(
        self,
        trainer: DiffusionTrainer,
        train: ImageData,
        name: str,
        count: int,
        seeds: tuple[int, ...],
    ) -> dict[str, Any]:
        """Sample a set, keep it, and let the deep judge score it."""
        config, started = trainer.config, time.perf_counter()
        labels = torch.arange(count) % config.num_classes
        images = sample(trainer.average, labels, config.image_shape, seed=config.seed)
        seconds = time.perf_counter() - started
        made, test = _named(name, images, labels, train), self._test(config.dataset)
        self._made[config.dataset] = made  # the last one, for `judges`
        few = slice(0, self.sizes.written)
        path = self.out / f"{config.dataset}-{name}.npz"
        np.savez_compressed(path, images=to_bytes(images[few]).numpy(), labels=labels[few].numpy())
        rows = [self._judge(made, test, seed) for seed in seeds]
        print(name, rows, flush=True)
        return {"images": count, "sampling_seconds": seconds, "judged": rows}

    def _judge(self, data: ImageData, test: ImageData, seed: int) -> dict[str, Any]:
        protocol, device = self.sizes.protocol, self.device.type
        network = protocol.networks[0]
        judged = train_judge(data, test, protocol, network=network, seed=seed, device=device)
        return judged.figures()

    def _sets(self, dataset: str, epsilon: float) -> Iterator[tuple[str, ImageData]]:
        """Real images, the prior alone at the whole budget, and the sets made here."""
        sizes = self.sizes
        config = make_config(
            dataset=dataset,
            method="mixture",
            profile=sizes.set_profile,
            num_records=sizes.records,
            epsilon=epsilon,
        )
        train = load(dataset, "train", num_records=config.privacy.num_records)
        yield "real", train
        prior = make_prior(config, train, secret_key("seeded", 0), device=self.device)
        images, labels = prior_images(prior, sizes.synthetic, seed=0, device=self.device)
        yield "mixture", _named(dataset, images.cpu(), labels.cpu(), train)
        if dataset in self._made:
            yield "diffusion", self._made[dataset]

    def _test(self, dataset: str) -> ImageData:
        return load(dataset, "test", num_records=self.sizes.test_records)


def _named(name: str, images: Tensor, labels: Tensor, like: ImageData) -> ImageData:
    return ImageData(name, images, labels, like.class_names)


STEPS: Mapping[str, Callable[[Session], None]] = {
    "critics": Session.critics,
    "efsgd-prior": partial(Session.record, method="efsgd-prior"),
    "diffusion": Session.diffusion,
    "efsgd": partial(Session.record, method="efsgd"),
    "judges": Session.judges,
    "quick": Session.quick,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """All steps, or those that are named; 0 when none failed."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.studies.benchmarks.gpu_session", description=main.__doc__
    )
    parser.add_argument("steps", nargs="*", help=f"of {', '.join(STEPS)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("results/local/gpu"))
    parser.add_argument("--toy", action="store_true", help="toy sizes, for a machine without a GPU")
    parser.add_argument("--commit", help="of the code, where it travels without its history")
    chosen = parser.parse_args(arguments)
    for name in chosen.steps:
        check_choice("steps", name, STEPS)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    session = Session(chosen.out, TOY if chosen.toy else Sizes(), device, chosen.commit)
    failed = []
    for name in chosen.steps or STEPS:
        started = time.perf_counter()
        try:
            STEPS[name](session)
        except Exception:  # minutes of a GPU are dear: the other steps go on
            traceback.print_exc()
            failed.append(name)
        session.found.setdefault("seconds", {})[name] = time.perf_counter() - started
        session.save()
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    print("failed:", ", ".join(failed) or "none", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
