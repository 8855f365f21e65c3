"""Published data sets beside MNIST's, on small copies in their own formats."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from made_files import tree
from made_sets import MADE, make, pictures, publish

from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.data import sets
from dpgen_core.data.published import PublishedSet
from dpgen_core.data.sets import DATASETS, available, load, train_size
from dpgen_core.experiment import run_experiment

COUNTS = {"train": 60, "test": 50}  # of every class one at least; EMNIST has 47
# Shape, classes and sizes as their authors state them.
STATED = {
    "kmnist": ((1, 28, 28), 10, 60_000),
    "emnist_letters": ((1, 28, 28), 26, 124_800),
    "emnist_balanced": ((1, 28, 28), 47, 112_800),
    "cifar10": ((3, 32, 32), 10, 50_000),
    "svhn": ((3, 32, 32), 10, 73_257),
    "pneumoniamnist": ((1, 28, 28), 2, 5_232),
}
_KMNIST = {
    "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
    "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
    "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
    "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
}
_EMNIST = {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"}
_SVHN = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
SUMS = {
    "kmnist": _KMNIST,
    "emnist_letters": _EMNIST,
    "emnist_balanced": _EMNIST,
    "cifar10": {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    "svhn": _SVHN,
    "pneumoniamnist": {"pneumoniamnist.npz": "28209eda62fecd6e6a2d98b1501bb15f"},
}


@pytest.fixture(params=MADE)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def root(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make(name, tmp_path / "root", monkeypatch, **COUNTS)
    return tmp_path / "root"


def files_of(name: str, root: Path) -> list[Path]:
    return [path for path in sorted((root / MADE[name].folder).iterdir()) if path.is_file()]


@pytest.mark.parametrize("split", COUNTS)
def test_pixels_come_upright_with_their_labels_and_nothing_is_written(
    name: str, split: str, root: Path
) -> None:
    before = tree(root)
    loaded = load(name, split, root=root)
    images, labels = pictures(name, split, COUNTS[split])
    assert (loaded.images.dtype, loaded.labels.dtype) == (torch.float32, torch.int64)
    assert np.array_equal((loaded.images * 255).round().numpy(), images)
    assert float(loaded.images.max()) == 1
    assert np.array_equal(loaded.labels.numpy(), labels)
    assert loaded.images.is_contiguous()
    assert loaded.class_names == DATASETS[name].class_names
    assert available(name, root=root)
    assert tree(root) == before


def test_a_subset_keeps_images_and_labels_together(name: str, root: Path) -> None:
    whole = load(name, "train", root=root)
    some, same, other = (
        load(name, "train", root=root, num_records=20, seed=seed) for seed in (3, 3, 4)
    )
    at = [int((whole.images == image).flatten(1).all(1).nonzero()) for image in some.images]
    assert len(set(at)) == 20 and torch.equal(whole.labels[at], some.labels)
    assert torch.equal(some.images, same.images) and not torch.equal(some.images, other.images)
    with pytest.raises(InvalidArgument, match=r"num_records.*61.*60"):
        load(name, "train", root=root, num_records=61)


def test_what_is_public_is_as_stated_without_any_file(name: str, tmp_path: Path) -> None:
    spec, (shape, classes, size) = DATASETS[name], STATED[name]
    assert (spec.name, spec.image_shape, spec.num_classes) == (name, shape, classes)
    assert len(set(spec.class_names)) == classes
    assert train_size(name, root=tmp_path / "none") == size
    assert not (tmp_path / "none").exists()


def test_the_files_asked_for_are_the_published_ones(name: str) -> None:
    source = sets.SOURCES[name]
    assert isinstance(source, PublishedSet)
    files = source.files()
    assert files.sums == SUMS[name] and files.folder == MADE[name].folder
    assert all(re.fullmatch(r"https?://.+/", mirror) for mirror in files.mirrors)


def test_class_names_are_in_the_order_of_the_labels() -> None:
    balanced, letters = (DATASETS[f"emnist_{part}"].class_names for part in ("balanced", "letters"))
    assert "".join(balanced) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    assert "".join(letters) == "abcdefghijklmnopqrstuvwxyz"
    assert "".join(DATASETS["svhn"].class_names) == "0123456789"
    assert DATASETS["pneumoniamnist"].class_names == ("normal", "pneumonia")
    assert DATASETS["kmnist"].class_names[:3] == ("o", "ki", "su")
    assert DATASETS["cifar10"].class_names[::3] == ("airplane", "cat", "frog", "truck")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_file_is_refused_by_its_checksum(name: str, damage: str, root: Path) -> None:
    for path in files_of(name, root):
        good = path.read_bytes()
        bad = {"truncated": good[:-40], "flipped": good[:-1] + b"x", "empty": b""}
        path.write_bytes(bad[damage])
    with pytest.raises(InvalidArgument, match=r"MD5 sum of .*damaged.*a fresh copy"):
        load(name, "train", root=root)
    assert not available(name, root=root, download=False)


def test_a_missing_file_is_named_with_its_folder_and_nothing_is_made(name: str, root: Path) -> None:
    gone = files_of(name, root)[0]
    gone.unlink()
    before = tree(root)
    assert not available(name, root=root)
    with pytest.raises(FileNotFoundError) as error:
        load(name, "train", root=root)
    for part in (name, gone.name, str(gone.parent), "DPGEN_DATA", "glyphs"):
        assert part in str(error.value)
    assert tree(root) == before


def test_labels_beyond_the_classes_and_unpaired_ones_are_refused(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, test = root / MADE[name].folder, pictures(name, "test", COUNTS["test"])
    images, labels = pictures(name, "train", COUNTS["train"])
    top = DATASETS[name].num_classes
    beyond = 11 if name == "svhn" else top  # in the files of SVHN 10 is a zero
    cases = [(labels * 0 + beyond, rf"labels.*from 0 to {top - 1}")]
    if name != "cifar10":  # where a label is part of its record
        cases.append((labels[:-1], rf"shapes of {name}/train.*60.*59"))
    for changed, match in cases:
        MADE[name].write(place, (images, changed.astype(np.uint8)), test)
        publish(name, monkeypatch, published_from=place)
        with pytest.raises(InvalidArgument, match=match):
            load(name, "train", root=root)


def test_the_smoke_profile_needs_no_files_to_be_planned(name: str, tmp_path: Path) -> None:
    config = make_config(dataset=name, profile="smoke", root=tmp_path)
    shape, classes, _ = STATED[name]
    assert (config.image_shape, config.num_classes) == (shape, classes)
    assert config.privacy.num_records == 2000


@pytest.mark.parametrize("name", ["emnist_balanced", "cifar10"])
def test_a_run_of_many_classes_and_one_in_color(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    make(name, root, monkeypatch, train=300, test=100)
    classes = DATASETS[name].num_classes
    config = make_config(
        dataset=name,
        profile="smoke",
        num_records=300,
        rounds=2,
        synthetic_records=2 * classes,
        real_records=60,
        root=root,
    )
    record = run_experiment(
        config, results_dir=tmp_path / "results", root=root, progress=False, device="cpu"
    )
    assert record.privacy["num_records"] == 300
    assert record.privacy["epsilon"]["rdp"] <= 10
    assert record.privacy["class_names"] == list(DATASETS[name].class_names)
    stated = (record.path / "statement.md").read_text()
    assert ("turned upright" if name == "emnist_balanced" else "as published") in stated
    with np.load(record.path / "synthetic.npz") as made:
        assert made["images"].shape == (2 * classes, *DATASETS[name].image_shape)
        assert np.bincount(made["labels"]).tolist() == [2] * classes
