"""From a folder of images to a folder to hand over, in one call: look, enter in the books, run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpgen_core.accounting.ledger import Ledger, bound_text
from dpgen_core.checks import check_choice, require
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import RECOMMENDED
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.folders import FEWEST_EVALUATED, SHAPES, check_apart, list_folder
from dpgen_core.data.label_table import check_per_person
from dpgen_core.delivery.books import Books, digests, name_of, planned_ledger
from dpgen_core.delivery.forecast import forecast
from dpgen_core.delivery.handover import check_target, hand_over
from dpgen_core.delivery.survey import Survey, person_line, plan_lines, survey
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record
from dpgen_core.training.sampler import check_numbers, usable_device

Say = Callable[[str], None]
UNITS = ("image", "person")


@dataclass(frozen=True)
class Plan:
    """What is to be made of which images."""

    images: Path
    config: ExperimentConfig
    survey: Survey

    @property
    def digests(self) -> frozenset[str]:
        """By which the books know the images."""
        return digests(self.survey.listing)

    @property
    def home(self) -> str:
        """Name of the records' folder: other images or labels may be learned from alike. Private."""
        listing = self.survey.listing
        labels = (listing.class_names[label] for _, label in listing.files)
        records = (f"{listing.digest(place)} {name}" for place, name in enumerate(labels))
        return f"images-{name_of(frozenset(records))}"


def plan(
    images: Path,
    *,
    color: bool = False,
    kind: str | None = None,
    method: str | None = None,
    image_size: int | None = None,
    maximum: float | None = None,
    unit: str = "image",
    images_per_person: int | None = None,
    evaluated: bool = True,
    **settings: Any,
) -> Plan:
    """Read every image once and settle every setting; nothing is written or spent.

    Args:
        images: folder with one subfolder of images per class or a ``labels.csv``, or an ``.npz``.
        color: in color rather than in gray.
        kind: of `presets.RECOMMENDED`, which names a method; None takes photographs for color and
            drawings for gray. Left out where a `method` is named.
        method: as in `make_config`.
        image_size: likewise.
        maximum: value shown as white in files of more than 8 bits.
        unit: whom epsilon and delta are for, ``image`` or ``person``: the column of a ``labels.csv``.
        images_per_person: at most so many of each person are learned from, in the latter case.
        evaluated: hold some out and compute metrics. Fewer than twelve images are all learned from.
        **settings: more of `make_config`.
    """
    folder = images.expanduser()
    _check_unit(unit, images_per_person)
    count = len(list_folder(folder, per_person=images_per_person).files)
    require(count > 0, "images", str(folder), "a folder with pictures in it", "another folder")
    if method is None:
        kind = kind or ("photographs" if color else "drawings")
        check_choice("kind", kind, RECOMMENDED)
        fits = color or kind != "photographs"
        require(fits, "kind", kind, "drawings or strokes in gray", "--color (color=True)")
        method = RECOMMENDED[kind][0]
    dataset = "folder_color" if color else "folder_gray"
    config = make_config(
        dataset=dataset,
        method=method,
        noise_source="secret",
        root=folder,
        image_size=image_size,
        maximum=maximum,
        images_per_person=images_per_person,
        evaluated=evaluated and count >= FEWEST_EVALUATED,
        **settings,
    )
    found = survey(
        folder,
        channels=SHAPES[dataset][0],
        size=config.image_shape[1],
        maximum=maximum,
        per_person=images_per_person,
    )
    return Plan(folder, config, found)


def _check_unit(unit: str, images_per_person: int | None) -> None:
    check_choice("unit", unit, UNITS)
    if unit == "person":
        rule, fix = "a whole number, the most images kept of one", "--per-person 3"
        given = images_per_person is not None
        require(given, "images_per_person", None, rule, f"{fix} (images_per_person=3)")
        check_per_person(images_per_person)
    else:
        rule, fix = "None where the unit is an image", "--unit person (unit='person')"
        require(images_per_person is None, "images_per_person", images_per_person, rule, fix)


def check(images: Path, *, results: Path, say: Say = print, **settings: Any) -> Plan:
    """Say all that is known before a run, from a look at every file; settings are as in `plan`."""
    check_apart(images, results=results)
    planned = plan(images, **settings)
    _report(planned, say)
    if Books(results).earlier(planned.digests, planned.config):
        say(_totals(Books(results), planned))
    return planned


def synthesize(
    images: Path,
    target: Path,
    *,
    results: Path,
    again: bool = False,
    count: int | None = None,
    per_class: int | None = None,
    proportional: bool = False,
    device: str | None = None,
    say: Say = print,
    **settings: Any,
) -> Record:
    """Learn from the images once, and write the folder `target` that may leave.

    Args:
        images: folder with one subfolder of images per class.
        target: the folder to hand over, see `handover.hand_over`.
        results: where the record, with private metrics, and the books lie.
        again: go on although the books have a release from the same images.
        count: as in `training.sampler.Generator.sample`.
        per_class: likewise.
        proportional: likewise.
        device: as in `run_experiment`.
        say: is given each line of the report.
        **settings: as in `plan`.

    Raises:
        InvalidArgument: whatever is wrong, before anything is written or spent.
    """
    check_target(target)
    check_apart(images, target=target, results=results)
    usable_device(device)
    planned = plan(images, **settings)
    wanted: dict[str, Any] = {"count": count, "per_class": per_class, "proportional": proportional}
    check_numbers(planned.config, **wanted)
    _report(planned, say)
    books, known, config = Books(results), planned.digests, planned.config
    if books.earlier(known, config):
        say(_totals(books, planned))
        rule = "True for a second release from the same images, as epsilons add up"
        require(again, "again", again, rule, "--again (again=True) if that is meant")
    books.enter(known, config, planned_ledger(config))
    where: dict[str, Any] = {"results_dir": results / planned.home, "root": planned.images}
    record = run_experiment(config, **where, device=device)
    if record.privacy["restarts"]:
        books.enter(known, config, Ledger.from_dict(record.privacy["ledger"]))
    say(f"record, with what stays private: {record.path}")
    say(f"to hand over: {hand_over(record, target, **wanted)}")
    return record


def _report(planned: Plan, say: Say) -> None:
    listing = planned.survey.listing
    for line in (*planned.survey.lines(), *plan_lines(planned.config, len(listing.files))):
        say(line)
    if listing.persons:
        say(person_line(planned.config, listing.persons))
    say(forecast(planned.config, planned.survey))


def _totals(books: Books, planned: Plan) -> str:
    """For the curator: that some images were in an earlier release is a fact about the records."""
    total, privacy = books.summary(planned.digests, planned.config), planned.config.privacy
    return (
        f"warning (private): the books have {total['count']} release(s) that share images with these; "
        f"with this one the total is epsilon {bound_text(total['epsilon'])} at delta "
        f"{privacy.delta:g} for {total['unit']}, which the statement has a line for"
    )
