"""CelebA: prepared parts in every state of disrepair, and torchvision's layout."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from made_files import part, tree
from PIL import Image

from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import available, load, train_size


def test_celeba_parts_follow_the_official_split(celeba_root: Path) -> None:
    before = tree(celeba_root)
    for number, (split, count) in enumerate((("train", 4), ("valid", 1), ("test", 3))):
        loaded = load("celeba", split, root=celeba_root)
        assert loaded.images.shape == (11 * count, 3, 32, 32)
        assert (loaded.images.dtype, loaded.labels.dtype) == (torch.float32, torch.int64)
        assert (loaded.images[:, 0] * 255).round().unique().tolist() == [number]
        assert torch.equal(loaded.images[:, 1, 5, 5].long(), loaded.labels)
    assert load("celeba", "test", root=celeba_root).class_names == ("female", "male")
    assert train_size("celeba", root=celeba_root) == 44
    assert available("celeba", root=celeba_root)
    few = load("celeba", "train", root=celeba_root, num_records=7)
    assert len(few.labels) == 7 and torch.equal(few.images[:, 1, 5, 5].long(), few.labels)
    assert tree(celeba_root) == before


def test_celeba_parts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(11):
        images = np.full((8, 3, 32, 32), number, dtype=np.uint8)
        part(tmp_path / "celeba" / f"celeba32-{number}.npz", images=images)
    seen = load("celeba", "valid", root=tmp_path).images[:, 0, 0, 0] * 255
    assert seen.round().int().tolist() == list(range(11))


def test_a_missing_part_is_refused(celeba_root: Path) -> None:
    (celeba_root / "celeba" / "celeba32-3.npz").unlink()
    for call in (load, train_size):
        with pytest.raises(InvalidArgument, match="without a gap"):
            call("celeba", *(["train"] if call is load else []), root=celeba_root)
    assert not available("celeba", root=celeba_root)


_NAN = np.full((8, 3, 32, 32), np.nan, dtype=np.float32)


_PICKLE = np.array([{"a": 1}] * 8, dtype=object)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"images": _NAN}, r"images in .*celeba32-1.npz: received 'float32'"),
        ({"images": _PICKLE}, r"images in .*celeba32-1.npz.*allow_pickle"),
        ({"male": _PICKLE}, r"male in .*allow_pickle"),
        ({"partition": _PICKLE}, r"partition in .*allow_pickle"),
        ({"male": np.full(8, 2, dtype=np.uint8)}, r"male in .*\[2\].*in \[0, 1\]"),
        ({"partition": np.full(8, 3, dtype=np.uint8)}, r"partition in .*\[3\]"),
        ({"male": None}, r"male in .*KeyError"),
        ({"male": np.zeros(7, dtype=np.uint8)}, r"shapes in .*\(7,\)"),
        ({"images": np.zeros((8, 3, 28, 28), dtype=np.uint8)}, r"shapes in .*28"),
    ],
)
def test_a_bad_part_is_refused_and_named(
    celeba_root: Path, changed: dict[str, np.ndarray | None], match: str
) -> None:
    part(celeba_root / "celeba" / "celeba32-1.npz", **changed)
    with pytest.raises(InvalidArgument, match=match):
        load("celeba", "train", root=celeba_root)


class _Trap:
    """Unpickling this makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_no_pickle_is_ever_run(celeba_root: Path, tmp_path: Path) -> None:
    trap = np.array([_Trap(tmp_path / "sprung")], dtype=object)
    for field in ("images", "male", "partition"):
        part(celeba_root / "celeba" / "celeba32-0.npz", **{field: trap})
        with pytest.raises(InvalidArgument):
            load("celeba", "train", root=celeba_root)
    available("celeba", root=celeba_root)
    assert not (tmp_path / "sprung").exists()
    with np.load(celeba_root / "celeba" / "celeba32-0.npz", allow_pickle=True) as archive:
        _ = archive["partition"]
    assert (tmp_path / "sprung").exists()  # the trap was live


def test_a_truncated_part_is_refused(celeba_root: Path) -> None:
    path = celeba_root / "celeba" / "celeba32-1.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidArgument, match=r"celeba32-1.npz"):
        load("celeba", "train", root=celeba_root)
    assert not available("celeba", root=celeba_root)


def test_celeba_as_torchvision_lays_it_out(tmp_path: Path) -> None:
    base = tmp_path / "celeba"
    (base / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, 7)]
    for number, name in enumerate(names):
        picture = Image.new("RGB", (178, 218), (40 * number, 0, 0))
        picture.paste((40 * number, 255, 0), (0, 109, 178, 218))  # the lower half: nothing cropped
        picture.save(base / "img_align_celeba" / name, quality=95)
    rows = {
        "list_eval_partition.txt": [f"{n} {i // 2}" for i, n in enumerate(names)],
        "list_attr_celeba.txt": [
            "6",
            "Young Male",
            *(f"{n} 1 {1 if i % 2 else -1}" for i, n in enumerate(names)),
        ],
    }
    for name, lines in rows.items():
        (base / name).write_text("\n".join(lines) + "\n")
    before = tree(tmp_path)
    assert available("celeba", root=tmp_path)
    loaded = load("celeba", "test", root=tmp_path)
    assert loaded.images.shape == (2, 3, 32, 32) and loaded.labels.tolist() == [0, 1]
    assert (loaded.images[:, 0, 2, 2] * 255).tolist() == pytest.approx([160, 200], abs=4)
    green = loaded.images[0, 1].mean(dim=1)  # rows
    assert green[:15].max() < 0.1 and green[17:].min() > 0.9
    one = load("celeba", "train", root=tmp_path, num_records=1)
    assert len(one.labels) == 1
    assert one.labels.item() == int(one.images[0, 0, 2, 2] * 255 > 20)
    assert tree(tmp_path) == before
    # At other sizes the middle square, as in the field's benchmarks; and from archives alike.
    larger = load("celeba", "test", root=tmp_path, image_size=64)
    assert larger.images.shape == (2, 3, 64, 64) and larger.labels.tolist() == [0, 1]
    assert train_size("celeba", root=tmp_path, image_size=64) == 2
    packed = tmp_path / "packed" / "celeba"
    packed.mkdir(parents=True)
    for name, members in (("img_align_celeba", names), ("list_attr_celeba", None)):
        with zipfile.ZipFile(packed / f"{name}.zip", "w") as archive:
            for member in members or [""]:
                inner = f"{name}/{member}" if members else f"{name}.txt"
                archive.write(base / inner, inner)
    shutil.copy(base / "list_eval_partition.txt", packed)
    again = load("celeba", "test", root=tmp_path / "packed", image_size=64)
    assert torch.equal(again.images, larger.images)
    shutil.rmtree(tmp_path / "packed")
    (base / "list_attr_celeba.txt").unlink()
    assert not available("celeba", root=tmp_path)


def test_absent_celeba_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"celeba32-\*.npz.*torchvision.*DPGEN_DATA") as e:
        load("celeba", "train", root=tmp_path)
    assert str(tmp_path) in str(e.value)
    assert not available("celeba", root=tmp_path)
