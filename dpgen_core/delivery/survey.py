"""A look at one's own images before anything is spent: what is there, and what can be hoped for.

Nothing is written and nothing released. Files are read one at a time and none is kept, so a folder
may be larger than memory. What is said of the records themselves is marked private.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dpgen_core.accounting.ledger import bound_text
from dpgen_core.config.presets import RECOMMENDED
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import pictures
from dpgen_core.data.folders import Listing, each_file, list_folder
from dpgen_core.delivery.books import planned_ledger
from dpgen_core.prior.gaussian import release_multipliers
from dpgen_core.records.bounds import epsilon_of_group, group_epsilon
from dpgen_core.training.sampler import prior_basis

_UNEVEN = 3  # times as many images in the largest class as in the smallest
_NAMED = 5  # files named of each kind


class Limits(NamedTuple):
    """Noise of a class mean, see `mean_noise`, up to which a release is worth its budget."""

    few: float  #: past it more than a fifth of what real images teach is lost
    hopeless: float  #: past it more than half


# By kind of images, for the method recommended for it. Measured: the book's chapter on own data.
LIMITS: Mapping[str, Limits] = {
    "drawings": Limits(0.3, 1.5),
    "strokes": Limits(0.5, 0.9),
    "scans": Limits(0.15, 0.4),
    "photographs": Limits(0.03, 0.4),
}


@dataclass(frozen=True)
class Survey:
    """What a folder holds; every file was decoded once."""

    listing: Listing
    sizes: Mapping[tuple[int, int], int]  #: (width, height) -> files; private
    modes: Mapping[str, int]  #: Pillow's mode -> files; private
    seconds: float  #: to read one file

    def lines(self) -> list[str]:
        """The findings, a line each."""
        names, counts = self.listing.class_names, self.listing.counts()
        by_class = ", ".join(f"{name} {n}" for name, n in zip(names, counts, strict=True))
        sides = [side for size in self.sizes for side in size]
        lines = [f"images: {len(self.listing.files)} in {len(names)} classes"]
        lines += [f"of each class (private): {by_class}"]
        if max(counts) > _UNEVEN * max(1, min(counts)):
            lines += [
                f"warning: classes are uneven (private): {min(counts)} to {max(counts)} images; each "
                "gets as many synthetic ones, unless --proportional asks for the released shares"
            ]
        lines += [
            f"left out: {len(some)}, {reason}: {_listed(some)}"
            for reason, some in self.listing.left_out.items()
        ]
        if sides:
            modes = ", ".join(f"{mode} {n}" for mode, n in sorted(self.modes.items()))
            lines.append(f"sides (private): {min(sides)} to {max(sides)} pixels; modes: {modes}")
        return lines


def survey(
    folder: Path, *, channels: int, size: int, maximum: float | None, per_person: int | None = None
) -> Survey:
    """Look through a folder; raises `InvalidArgument` where `sets.load` would.

    `channels`, `size` and `maximum` are as in `pictures.fit_picture`, `per_person` as in `list_folder`.
    """
    listing = list_folder(folder, per_person=per_person)
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    started = time.perf_counter()

    def look(place: int, picture: Image.Image) -> None:
        sizes[picture.size] += 1
        modes[picture.mode] += 1
        pictures.fit_picture(picture, channels=channels, size=size, maximum=maximum)

    each_file(listing, look)
    spent = (time.perf_counter() - started) / max(1, len(listing.files))
    return Survey(listing, sizes, modes, spent)


def plan_lines(config: ExperimentConfig, files: int) -> list[str]:
    """What a run of `config` would do with so many files, and what its budget carries."""
    privacy, (channels, side, _) = config.privacy, config.image_shape
    held_out = files - privacy.num_records if config.evaluated else 0
    colors = "gray" if channels == 1 else "color"
    unit = "one image" if privacy.images_per_person is None else "a person"
    sentence = next((text for name, text in RECOMMENDED.values() if name == config.method), "")
    lines = [
        f"learned from: {privacy.num_records}, held out for metrics: {held_out}",
        f"made: {side} x {side}, {colors}, from the middle square of each file",
        f"method: {config.method}"
        + (f", for {sentence}; --kind has methods for others" if sentence else ""),
        f"budget: epsilon {privacy.epsilon:g} at delta {privacy.delta:g} for {unit}",
    ]
    if config.prior.modes:
        lines.append(
            f"it carries: {config.prior.num_cells} Gaussian(s) per class; "
            f"noise of a class mean {mean_noise(config):.2g} of the longest mean there can be"
        )
    return lines + [f"warning: {text}" for text in warnings(config)]


def person_line(config: ExperimentConfig, persons: tuple[int, ...]) -> str:
    """What the guarantee becomes for the person with most images; private."""
    most, mean, kept = max(persons), sum(persons) / len(persons), config.privacy.images_per_person
    ledger, delta = planned_ledger(config).to_dict(), config.privacy.delta
    if kept is not None:
        left = sum(max(0, own - kept) for own in persons)
        one, all_kept = (epsilon_of_group(ledger, delta, size) for size in (1, kept))
        return (
            f"images of one person (private): {most} at most, {mean:.1f} on average; {kept} of each are "
            f"kept at most, {left} of {sum(persons)} left out; epsilon is {bound_text(one)} for one "
            f"image and {bound_text(all_kept)} for a person"
        )
    epsilon = group_epsilon({"delta": config.privacy.delta, "ledger": ledger}, most)
    bound = "no useful bound" if epsilon is None else f"epsilon {bound_text(epsilon)}"
    return (
        f"images of one person (private): {most} at most, {mean:.1f} on average; for all {most} "
        f"together the guarantee is {bound} at the same delta"
    )


def warnings(config: ExperimentConfig) -> Iterator[str]:
    """Where the budget is too small for so few records, from public figures alone."""
    if not config.prior.modes:
        return
    noise, limits = mean_noise(config), LIMITS[_kind(config)]
    records = config.privacy.num_records / config.num_classes
    enough = math.ceil(records * noise / limits.few)
    what = f"{records:.0f} records per class at epsilon {config.privacy.epsilon:g}"
    more = f"about {enough} per class would do, or a larger epsilon"
    if noise > limits.hopeless:
        yield f"{what} are hopeless: a class mean has {noise:.2g} times its length in noise; {more}"
    elif noise > limits.few:
        yield f"{what} are few: noise is {noise:.0%} of a class mean; {more}"


def _kind(config: ExperimentConfig) -> str:
    """What the images are taken for: a key of `LIMITS`."""
    usual = "photographs" if config.image_shape[0] == 3 else "drawings"
    return next((kind for kind, (name, _) in RECOMMENDED.items() if name == config.method), usual)


def mean_noise(config: ExperimentConfig) -> float:
    """Length of the noise of a released class mean over the clip radius of codes.

    For classes of equal size. Above 1 a class looks like its noise. Ours.
    """
    prior = config.prior
    name, records = "prior/means", config.privacy.num_records / config.num_classes
    multiplier = release_multipliers(config.privacy.prior_noise_multiplier, prior.num_cells)[name]
    return 2 * multiplier * math.sqrt(prior_basis(config).dim) / records


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(itertools.islice(names, _NAMED)) + more
