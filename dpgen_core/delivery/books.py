"""The private books: every release from the same images, over settings and runs, and their total.

One file per release in ``.books`` of the results folder, entered *before* the run releases anything,
so the books never say less than was released. Images are known by the SHA-256 of their files, in any
folder and under any name; a release counts as an earlier one if it shares a single image. One from
other images of the same persons is not known. Private.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpgen_core.accounting.events import epsilon_of_events
from dpgen_core.accounting.ledger import Ledger
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.budget import planned_events
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.folders import Listing
from dpgen_core.files import write_private

_DIGITS = 32  # of a file's SHA-256


@dataclass(frozen=True)
class Entry:
    """One release in the books."""

    run: str  #: name of its record
    images: frozenset[str]  #: digests of the files it learned from, and of those held out
    ledger: dict[str, Any]  #: of `accounting.ledger.Ledger.to_dict`
    of_persons: bool  #: at most as many images of each person as the ledger's group size


class Books:
    """All releases that were made with this results folder."""

    def __init__(self, results: Path) -> None:
        self.folder = results.expanduser() / ".books"

    def entries(self) -> list[Entry]:
        """What was entered so far; raises `InvalidArgument` for a damaged file."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                stored = json.loads(path.read_text())
                Ledger.from_dict(stored["ledger"])
                images = frozenset(stored["images"])
                persons = bool(stored.get("of_persons", False))
                found.append(Entry(stored["run"], images, stored["ledger"], persons))
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidArgument(
                    f"books: received {str(path)!r}, but it must be as it was written ({error}). "
                    "Try a copy from a backup: without it nobody knows what was released."
                ) from error
        return found

    def earlier(self, images: frozenset[str], config: ExperimentConfig) -> list[Entry]:
        """Releases that share an image with these, but for the run of `config` on the same."""
        run = config.record_name()
        return [
            entry
            for entry in self.entries()
            if entry.images & images and (entry.run, entry.images) != (run, images)
        ]

    def summary(self, images: frozenset[str], config: ExperimentConfig) -> dict[str, Any]:
        """Number of earlier releases, and epsilon of all with this one, at its delta.

        For a person if all kept so many images of each at most, else for one image (``unit``).
        """
        earlier, privacy = self.earlier(images, config), config.privacy
        ledgers = [planned_ledger(config), *(Ledger.from_dict(entry.ledger) for entry in earlier)]
        groups = [ledger.settings()["group_size"] for ledger in ledgers]
        bounded = [privacy.images_per_person is not None, *(entry.of_persons for entry in earlier)]
        asked: dict[str, Any] = {"delta": privacy.delta, "relation": privacy.relation}
        total = epsilon_of_events(
            [event for ledger in ledgers for event in ledger.events],
            **asked,
            accountant="rdp",
            group_size=max(groups) if all(bounded) else 1,
        )
        unit = "a person" if all(bounded) else "one image"
        return {"count": len(earlier), "epsilon": total, "unit": unit}

    def enter(self, images: frozenset[str], config: ExperimentConfig, ledger: Ledger) -> None:
        """Write or renew the entry of this run on these images, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        run = config.record_name()
        entry: dict[str, Any] = {"run": run, "ledger": ledger.to_dict(), "images": sorted(images)}
        entry["of_persons"] = config.privacy.images_per_person is not None
        name = f"{run}-{name_of(images)}"
        write_private(self.folder / f"{name}.json", json.dumps(entry))


def planned_ledger(config: ExperimentConfig) -> Ledger:
    """What the run of `config` will be charged if nothing goes wrong."""
    privacy = config.privacy
    ledger = Ledger(
        relation=privacy.relation,
        delta=privacy.delta,
        accountant=privacy.accountant,
        target_epsilon=None,
        group_size=privacy.group_size,
    )
    for event in planned_events(config):
        ledger.charge(event)
    return ledger


def name_of(images: frozenset[str]) -> str:
    """A short name of a set of images; private."""
    return hashlib.sha256("".join(sorted(images)).encode()).hexdigest()[:12]


def digests(listing: Listing) -> frozenset[str]:
    """By which the books know the images."""
    return frozenset(listing.digest(place)[:_DIGITS] for place in range(len(listing.files)))
