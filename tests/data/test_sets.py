"""Loading: made files, and the real ones where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_files import idx, numbers, tree, trust

from dpgen_core.checks import InvalidArgument
from dpgen_core.data import sets as data
from dpgen_core.data.sets import DATASETS, ImageData, available, load, train_size


def test_idx_files_are_read_scaled_and_paired(idx_root: Path) -> None:
    for split, count in (("train", 30), ("test", 12)):
        loaded = load("mnist", split, root=idx_root)
        assert loaded.name == "mnist" and loaded.class_names == DATASETS["mnist"].class_names
        assert loaded.images.shape == (count, 1, 28, 28)
        assert (loaded.images.dtype, loaded.labels.dtype) == (torch.float32, torch.int64)
        assert numbers(loaded) == list(range(count))
        assert loaded.labels.tolist() == [number % 10 for number in range(count)]
        assert loaded.images[:, 0, 27, 1].tolist() == [1.0] * count


def test_nothing_is_written_below_a_root_that_holds_the_files(idx_root: Path) -> None:
    before = tree(idx_root)
    load("mnist", "train", root=idx_root)
    assert available("mnist", root=idx_root)
    assert tree(idx_root) == before


def test_a_subset_is_seeded_without_repeats_and_keeps_pairs(idx_root: Path) -> None:
    one, same, other = (
        load("mnist", "train", root=idx_root, num_records=20, seed=seed) for seed in (3, 3, 4)
    )
    assert torch.equal(one.images, same.images) and torch.equal(one.labels, same.labels)
    assert len(set(numbers(one))) == 20
    assert set(numbers(one)) != set(numbers(other)) and set(numbers(one)) != set(range(20))
    assert one.labels.tolist() == [number % 10 for number in numbers(one)]


def test_a_subset_does_not_look_at_the_labels(
    idx_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels are private: another record's label must not move the public subset."""
    before = numbers(load("mnist", "train", root=idx_root, num_records=11))
    raw = idx_root / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.full(30, 7, dtype=np.uint8)))
    trust(monkeypatch, raw)
    assert numbers(load("mnist", "train", root=idx_root, num_records=11)) == before


def test_too_many_records_names_both_numbers(idx_root: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"num_records.*31.*30"):
        load("mnist", "train", root=idx_root, num_records=31)
    with pytest.raises(InvalidArgument, match=r"num_records.*60001.*60000"):
        load("glyphs", "train", num_records=60_001)


@pytest.mark.parametrize(
    ("argument", "changed", "shown"),
    [
        ("dataset", {"name": "mnits"}, "fashion_mnist"),
        ("dataset", {"name": 3}, "fashion_mnist"),
        ("split", {"split": "valid"}, "train, test"),
        ("num_records", {"num_records": 0}, ">= 1"),
        ("num_records", {"num_records": 2.0}, ">= 1"),
        ("seed", {"seed": -1}, ">= 0"),
        ("seed", {"seed": "0"}, ">= 0"),
    ],
)
def test_bad_arguments_are_named_with_value_and_choices(
    idx_root: Path, argument: str, changed: dict[str, object], shown: str
) -> None:
    arguments: dict[str, object] = {"name": "mnist", "split": "train", "root": idx_root}
    with pytest.raises(InvalidArgument) as error:
        load(**(arguments | changed))  # type: ignore[arg-type]
    message = str(error.value)
    assert message.startswith(argument) and shown in message
    assert repr(next(iter(changed.values()))) in message


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_file_is_refused_by_its_checksum(idx_root: Path, damage: str) -> None:
    path = idx_root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    good = path.read_bytes()
    path.write_bytes({"truncated": good[:-40], "flipped": good[:-1] + b"x", "empty": b""}[damage])
    with pytest.raises(InvalidArgument, match=r"MD5.*train-images.*damaged"):
        load("mnist", "train", root=idx_root)
    assert not available("mnist", root=idx_root, download=False)
    load("mnist", "test", root=idx_root)  # the other files are still good


def test_labels_out_of_range_and_unpaired_labels_are_refused(
    idx_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = idx_root / "MNIST" / "raw"
    for labels, match in (
        (np.full(30, 10, dtype=np.uint8), r"labels.*10.*from 0 to 9"),
        (np.zeros(29, dtype=np.uint8), r"shapes of mnist/train.*30.*29"),
        (np.zeros(31, dtype=np.uint8), r"shapes of mnist/train.*30.*31"),
    ):
        (raw / "train-labels-idx1-ubyte.gz").write_bytes(idx(labels))
        trust(monkeypatch, raw)
        with pytest.raises(InvalidArgument, match=match):
            load("mnist", "train", root=idx_root)


def test_glyphs_need_no_root_and_share_nothing_between_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPGEN_DATA", str(tmp_path / "none"))
    assert available("glyphs")
    seen: dict[bytes, tuple[str, int]] = {}
    for split in ("train", "test"):
        for seed in (0, 1, 2):
            drawn = load("glyphs", split, num_records=400, seed=seed)
            assert drawn.images.shape == (400, 1, 28, 28) and float(drawn.images.max()) == 1
            for image in drawn.images:
                previous = seen.setdefault(image.numpy().tobytes(), (split, seed))
                assert previous == (split, seed), f"{(split, seed)} repeats {previous}"
    assert not list(tmp_path.iterdir())
    again = load("glyphs", "train", num_records=400, seed=1)
    assert all(seen[image.numpy().tobytes()] == ("train", 1) for image in again.images)


def test_glyphs_come_in_the_size_that_is_asked_for() -> None:
    usual, large = (load("glyphs", "train", num_records=40, image_size=n) for n in (28, 64))
    assert torch.equal(usual.images, load("glyphs", "train", num_records=40).images)
    assert large.images.shape == (40, 1, 64, 64) and torch.equal(large.labels, usual.labels)
    with pytest.raises(InvalidArgument, match=r"image_size.*28, the size of the files of mnist"):
        load("mnist", "train", image_size=64)


def test_the_root_comes_from_the_environment(
    idx_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPGEN_DATA", str(idx_root))
    assert data.data_root() == idx_root and len(load("mnist", "train").labels) == 30
    monkeypatch.setenv("DPGEN_DATA", "")
    assert data.data_root() == Path("data")


def test_sizes_and_unknown_names() -> None:
    sizes = [train_size(name) for name in ("mnist", "fashion_mnist", "glyphs")]
    assert sizes == [60_000] * 3
    with pytest.raises(InvalidArgument, match="dataset"):
        train_size("cifar")
    assert not available("cifar") and not available(None)  # type: ignore[arg-type]


def test_the_specs_agree_with_what_is_loaded(idx_root: Path, celeba_root: Path) -> None:
    for name, spec in DATASETS.items():
        assert spec.name == name and spec.num_classes == len(set(spec.class_names))
    for name in ("mnist", "celeba", "glyphs"):
        root = idx_root if name == "mnist" else celeba_root
        loaded = load(name, "test", root=root, num_records=9)
        assert loaded.images.shape[1:] == DATASETS[name].image_shape
        assert loaded.class_names == DATASETS[name].class_names


_IMAGES, _LABELS = torch.zeros(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (_IMAGES[:3], _LABELS, r"3, 1, 28, 28.*as many labels"),
        (_IMAGES[:, 0], _LABELS, r"\(N, c, h, w\)"),
        (_IMAGES, _LABELS[:, None], r"\(N,\)"),
        (_IMAGES.double(), _LABELS, "float64"),
        (_IMAGES, _LABELS.int(), "int32"),
        (_IMAGES.index_fill(0, torch.tensor(2), torch.nan), _LABELS, "nan"),
        (_IMAGES.index_fill(0, torch.tensor(2), torch.inf), _LABELS, "inf"),
        (_IMAGES + 255, _LABELS, r"255.*from 0 to 1"),
        (_IMAGES - 0.1, _LABELS, "from 0 to 1"),
        (_IMAGES, _LABELS - 1, r"-1.*from 0 to 1"),
        (_IMAGES, _LABELS + 2, r"2.*from 0 to 1"),
    ],
)
def test_image_data_refuses_what_it_does_not_promise(
    images: torch.Tensor, labels: torch.Tensor, match: str
) -> None:
    ImageData("made", _IMAGES, _LABELS, ("a", "b"))
    with pytest.raises(InvalidArgument, match=match):
        ImageData("made", images, labels, ("a", "b"))


@pytest.mark.parametrize(
    ("name", "mean", "first"),
    [("mnist", 0.1307, [5, 0, 4, 1, 9]), ("fashion_mnist", 0.2860, [9, 0, 0, 3, 0])],
)
def test_real_idx_files(real_data: Path, name: str, mean: float, first: list[int]) -> None:
    before = tree(real_data)
    assert available(name, root=real_data, download=False)
    train, test = load(name, "train", root=real_data), load(name, "test", root=real_data)
    assert train.images.shape == (60_000, 1, 28, 28) and test.images.shape == (10_000, 1, 28, 28)
    assert train_size(name, root=real_data) == 60_000
    assert len(train.labels.unique()) == 10 and train.labels[:5].tolist() == first
    assert float(train.images.mean()) == pytest.approx(mean, abs=1e-4)
    assert tree(real_data) == before


def test_real_celeba(real_data: Path) -> None:
    before = tree(real_data)
    assert available("celeba", root=real_data, download=False)
    assert train_size("celeba", root=real_data) == 37_540
    for split, count, men in (
        ("train", 37_540, 16_778),
        ("valid", 4_535, 2_082),
        ("test", 4_640, 1_936),
    ):
        loaded = load("celeba", split, root=real_data)
        assert loaded.images.shape == (count, 3, 32, 32)
        assert int(loaded.labels.sum()) == men
        assert 0.05 < float(loaded.images.std()) < 0.5
    assert tree(real_data) == before
