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
