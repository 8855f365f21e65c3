"""Labels from a table: ``labels.csv`` in the folder of the images, with columns ``file`` and ``label``.

A column ``person`` says whom an image shows: how many images a person has is reported, and `bounded`
keeps at most m of each. The labels that occur are taken to be public, as the names of class folders
are, and so is m.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dpgen_core.checks import InvalidArgument, check_int, require

TABLE_FILE = "labels.csv"
_NAMED = 20  # bad rows that an error names at most


@dataclass(frozen=True)
class Row:
    """One image of the table."""

    path: Path
    file: str  #: as the table has it
    label: str
    person: str  #: empty where the table has no such column


def read_table(folder: Path) -> list[Row]:
    """The rows of a folder's table, in their order.

    Raises:
        InvalidArgument: no such columns, files that are not there, twice there or outside the
            folder, labels that no folder can be named by.
    """
    table = folder / TABLE_FILE
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True, restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(
            f"{TABLE_FILE}: received {str(table)!r}, but it must be a table in UTF-8 ({error}). Try "
            "saving it as CSV, UTF-8."
        ) from error
    columns = list(rows[0]) if rows else []
    fix = "a first line 'file,label'"
    good = {"file", "label"} <= set(columns)
    require(good, f"columns of {table}", columns, "file and label, and perhaps person", fix)
    found = [
        Row(folder / row["file"], row["file"], row["label"].strip(), row.get("person", "").strip())
        for row in rows
    ]
    _refuse("labels", [r.label for r in found if not _names_a_folder(r.label)],
            "such that a folder can be named by them", "labels without / and not empty")  # fmt: skip
    inside = folder.resolve()
    outside = [str(r.path) for r in found if inside not in r.path.resolve().parents]
    _refuse("files", outside, f"inside {folder}", "paths as seen from that folder")
    _refuse("files", [str(r.path) for r in found if not r.path.is_file()], "there", "their names")
    times = Counter(str(r.path.resolve()) for r in found)
    twice = [path for path, count in times.items() if count > 1]
    _refuse("files", twice, "named once: a record counts once", "one row for each file")
    return found


def bounded(rows: Sequence[Row], per_person: int) -> list[Row]:
    """At most so many rows of each person, in their order.

    Which are kept depends on that person's own file names alone: those whose SHA-256 comes first, as
    the first by name might all show the same. So nobody's rows decide which of another's are kept,
    and data sets that differ in one person's images differ in `per_person` rows at most. Ours.

    Raises:
        InvalidArgument: `per_person` is not a whole number of at least 1, or a row names nobody.
    """
    check_per_person(per_person)
    rule, fix = "a table with a column person", "one more column, or --unit image (unit='image')"
    require(any(row.person for row in rows), TABLE_FILE, "no persons", rule, fix)
    nameless = [row.path.name for row in rows if not row.person]
    _refuse("files without a person", nameless, "none: any of them may be of anybody",
            "a column person with a name in every row, or --unit image (unit='image')")  # fmt: skip
    by_person: dict[str, list[Row]] = {}
    for row in rows:
        by_person.setdefault(row.person, []).append(row)
    kept = {row for own in by_person.values() for row in sorted(own, key=_digest)[:per_person]}
    return [row for row in rows if row in kept]


def check_per_person(images_per_person: object) -> None:
    """Require a whole number of at least 1."""
    check_int("images_per_person", images_per_person, low=1, fix="images_per_person=3")


def _digest(row: Row) -> str:
    return hashlib.sha256(row.file.encode()).hexdigest()


def _names_a_folder(label: str) -> bool:
    return bool(label) and not label.startswith(".") and not set(label) & set("/\\\0")


def _refuse(what: str, bad: list[str], rule: str, fix: str) -> None:
    """Refuse bad entries of the table, by name."""
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    require(not bad, f"{what} in {TABLE_FILE}", ", ".join(bad[:_NAMED]) + more, rule, fix)
