"""Labels from a table: the same records as from folders, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.data import folders, sets


def fill(root: Path, table: str | None = None) -> Path:
    rows = ["file,label,person"]
    for number in range(12):
        path = root / "scans" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), 20 * number, dtype=np.uint8)).save(path)
        rows.append(f'scans/{number:03d}.png,"{("ill, a", "well")[number % 2]}",{number // 4}')
    (root / "labels.csv").write_text(table if table is not None else "\n".join(rows) + "\n")
    return root


def test_a_table_gives_the_records_that_folders_would(tmp_path: Path) -> None:
    root = fill(tmp_path / "images")
    (root / "scans" / "other.png").write_bytes(b"")
    listing = folders.list_folder(root)
    assert listing.class_names == ("ill, a", "well") and len(listing.files) == 12
    assert listing.left_out == {"not in labels.csv": ("scans/other.png",)}
    assert sorted(listing.persons) == [4, 4, 4]
    by_table = sets.load("folder_gray", "all", root=root, image_size=16)
    for path, label in listing.files:
        place = tmp_path / "folders" / listing.class_names[label] / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    by_folder = sets.load("folder_gray", "all", root=tmp_path / "folders", image_size=16)
    assert torch.equal(by_table.images, by_folder.images)
    assert torch.equal(by_table.labels, by_folder.labels)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("", r"columns of .*labels.csv: received \[\]"),
        ("name,label\nscans/000.png,a\n", r"columns of .*received \['name', 'label'\]"),
        ("file,label\nscans/000.png,\n", "labels in labels.csv"),
        ("file,label\nscans/000.png,../b\n", "labels in labels.csv: received '../b'"),
        ("file,label\nscans/000.png,a/b\n", "a folder can be named by them"),
        ("file,label\n../000.png,a\n", "inside"),
        ("file,label\n/etc/hostname,a\n", "inside"),
        ("file,label\nscans/900.png,a\n", "scans/900.png.*there"),
        ("file,label\nscans/000.png,a\nscans/../scans/000.png,b\n", "named once"),
        ("file,label\nscans/000.png,a\nscans/001.png,a\n", "with 1 labels"),
    ],
)
def test_a_bad_table_is_one_line(table: str, match: str, tmp_path: Path) -> None:
    root = fill(tmp_path / "images", table)
    with pytest.raises(InvalidArgument, match=match) as caught:
        make_config(dataset="folder_gray", root=root)
    assert "\n" not in str(caught.value)


def persons(root: Path, images: dict[str, list[str]]) -> Path:
    """`images` has the files of each person; they are black, in two classes."""
    rows = ["file,label,person"]
    (root / "scans").mkdir(parents=True)
    for person, files in images.items():
        for file in files:
            Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(root / "scans" / file)
            rows.append(f"scans/{file},{'ab'[len(rows) % 2]},{person}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def kept(root: Path, per_person: int) -> set[str]:
    return {path.name for path, _ in folders.list_folder(root, per_person=per_person).files}


SEVERAL = {
    "Ann": [f"a{k}.png" for k in range(9)],
    "Bo": [f"b{k}.png" for k in range(3)],
    "Cy": ["c0.png"],
}


@pytest.mark.parametrize("per_person", [1, 2, 3, 20])
def test_at_most_so_many_images_of_each_person_are_kept(per_person: int, tmp_path: Path) -> None:
    root = persons(tmp_path / "images", SEVERAL)
    listing = folders.list_folder(root, per_person=per_person)
    names = [path.name for path, _ in listing.files]
    for own in SEVERAL.values():
        assert len([name for name in names if name in own]) == min(per_person, len(own))
    left = [Path(file).name for some in listing.left_out.values() for file in some]
    assert sorted(names + left) == sorted(name for own in SEVERAL.values() for name in own)
    assert list(listing.left_out) == ([f"beyond {per_person} of one person"] if left else [])
    assert sorted(listing.persons) == [1, 3, 9]
    assert listing.class_names == ("a", "b")  # of all rows, as labels are public
    config = make_config(
        dataset="folder_gray", root=root, evaluated=False, images_per_person=per_person
    )
    assert config.privacy.num_records == len(names)


def test_nobody_decides_which_images_of_another_are_kept(tmp_path: Path) -> None:
    """Or one person's images would change more records than the guarantee counts."""
    others = {f"P{k}": [f"p{k}-{view}.png" for view in range(5)] for k in range(30)}
    before = kept(persons(tmp_path / "one", {"Ann": SEVERAL["Ann"], **others}), 2)
    for number, files in enumerate((["0.png", "z.png", "p5.png"], ["a.png"], [])):
        after = kept(persons(tmp_path / f"other{number}", {"Zoe": files, **others}), 2)
        assert {name for name in after if name not in files} == {
            name for name in before if not name.startswith("a")
        }


def test_what_is_kept_is_not_the_first_by_name(tmp_path: Path) -> None:
    """The first of a series might all show the same, and the order of the rows is an accident."""
    files = {f"P{k}": [f"{k}-{view}.png" for view in range(4)] for k in range(60)}
    first = kept(persons(tmp_path / "images", files), 1)
    views = [name.partition("-")[2] for name in first]
    assert all(5 <= views.count(f"{view}.png") <= 27 for view in range(4))
    other = {name: own[::-1] for name, own in reversed(files.items())}
    assert kept(persons(tmp_path / "rows", other), 1) == first


@pytest.mark.parametrize(
    ("changes", "per_person", "match"),
    [
        ({}, 0, "images_per_person: received 0, but it must be a whole number >= 1"),
        ({}, -2, "images_per_person"),
        ({}, 1.5, "images_per_person"),
        ({}, True, "images_per_person"),
        (
            {"": ["x.png"]},
            2,
            "files without a person in labels.csv: received 'x.png'.*--unit image",
        ),
        ({" ": ["x.png"]}, 2, "files without a person in labels.csv"),
    ],
)
def test_a_bound_that_is_none_is_refused(
    changes: dict[str, list[str]], per_person: object, match: str, tmp_path: Path
) -> None:
    root = persons(tmp_path / "images", SEVERAL | changes)
    with pytest.raises(InvalidArgument, match=match) as caught:
        make_config(dataset="folder_gray", root=root, images_per_person=per_person)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["folders", "archive", "no column"])
def test_images_without_persons_have_no_bound(kind: str, tmp_path: Path) -> None:
    root = fill(tmp_path / "images", "file,label\nscans/000.png,a\nscans/001.png,b\n")
    if kind == "folders":
        (root / "labels.csv").unlink()
        (root / "others").mkdir()
    if kind == "archive":
        root = tmp_path / "set.npz"
        np.savez(root, images=np.zeros((12, 16, 16), np.uint8), labels=np.arange(12) % 2)
    with pytest.raises(InvalidArgument, match="column.* person.*--unit image") as caught:
        make_config(dataset="folder_gray", root=root, images_per_person=2)
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidArgument, match="images_per_person: received 2"):
        make_config(dataset="glyphs", images_per_person=2)
