"""Loading: made files in every state of disrepair, and the real ones where they are."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets as tv

from dpgen_core.checks import InvalidArgument
from dpgen_core.data import sets as data
from dpgen_core.data.sets import DATASETS, ImageData, available, load, train_size

COUNTS = {"train": 30, "t10k": 12}


def _tree(root: Path) -> list[tuple[str, int, int]]:
    """Every path below the root with size and time of change."""
    paths = [root, *root.rglob("*")]
    stats = [(str(path), path.stat()) for path in sorted(paths)]
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def _trust(monkeypatch: pytest.MonkeyPatch, raw: Path) -> None:
    """Make the files that lie there the published ones."""
    sums = [
        (name, hashlib.md5((raw / name).read_bytes()).hexdigest()) for name, _ in tv.MNIST.resources
    ]
    monkeypatch.setattr(tv.MNIST, "resources", sums)


@pytest.fixture
def idx_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small MNIST whose pixel (0, 0) is the record's number; its label, that modulo 10."""
    root = tmp_path / "root"
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in COUNTS.items():
        images = np.zeros((count, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = np.arange(count)
        images[:, 27, 1] = 255
        (raw / f"{prefix}-images-idx3-ubyte.gz").write_bytes(_idx(images))
        labels = (np.arange(count) % 10).astype(np.uint8)
        (raw / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(_idx(labels))
    _trust(monkeypatch, raw)
    return root


def _numbers(loaded: ImageData) -> list[int]:
    return (loaded.images[:, 0, 0, 0] * 255).round().int().tolist()


def test_idx_files_are_read_scaled_and_paired(idx_root: Path) -> None:
    for split, count in (("train", 30), ("test", 12)):
        loaded = load("mnist", split, root=idx_root)
        assert loaded.name == "mnist" and loaded.class_names == DATASETS["mnist"].class_names
        assert loaded.images.shape == (count, 1, 28, 28)
        assert (loaded.images.dtype, loaded.labels.dtype) == (torch.float32, torch.int64)
        assert _numbers(loaded) == list(range(count))
        assert loaded.labels.tolist() == [number % 10 for number in range(count)]
        assert loaded.images[:, 0, 27, 1].tolist() == [1.0] * count


def test_nothing_is_written_below_a_root_that_holds_the_files(idx_root: Path) -> None:
    before = _tree(idx_root)
    load("mnist", "train", root=idx_root)
    assert available("mnist", root=idx_root)
    assert _tree(idx_root) == before


def test_a_subset_is_seeded_without_repeats_and_keeps_pairs(idx_root: Path) -> None:
    one, same, other = (
        load("mnist", "train", root=idx_root, num_records=20, seed=seed) for seed in (3, 3, 4)
    )
    assert torch.equal(one.images, same.images) and torch.equal(one.labels, same.labels)
    assert len(set(_numbers(one))) == 20
    assert set(_numbers(one)) != set(_numbers(other)) and set(_numbers(one)) != set(range(20))
    assert one.labels.tolist() == [number % 10 for number in _numbers(one)]


def test_a_subset_does_not_look_at_the_labels(
    idx_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels are private: another record's label must not move the public subset."""
    before = _numbers(load("mnist", "train", root=idx_root, num_records=11))
    raw = idx_root / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(_idx(np.full(30, 7, dtype=np.uint8)))
    _trust(monkeypatch, raw)
    assert _numbers(load("mnist", "train", root=idx_root, num_records=11)) == before


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
        (raw / "train-labels-idx1-ubyte.gz").write_bytes(_idx(labels))
        _trust(monkeypatch, raw)
        with pytest.raises(InvalidArgument, match=match):
            load("mnist", "train", root=idx_root)


# Downloads, from a server on this machine


@pytest.fixture
def server(idx_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(idx_root / "MNIST" / "raw"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        url = f"http://127.0.0.1:{running.server_port}/"
        monkeypatch.setattr(tv.MNIST, "mirrors", [url])
        yield url
        running.shutdown()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_missing_files_are_downloaded_into_the_root(server: str, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    assert not available("mnist", root=fresh, download=False) and not fresh.exists()
    assert available("mnist", root=fresh)
    names = sorted(path.name for path in (fresh / "MNIST" / "raw").iterdir())
    assert names == sorted(name for name, _ in tv.MNIST.resources)  # no scratch, nothing unpacked
    assert _numbers(load("mnist", "test", root=fresh)) == list(range(12))


def test_a_wrong_download_leaves_no_file(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [(name, "0" * 32) for name, _ in tv.MNIST.resources]
    monkeypatch.setattr(tv.MNIST, "resources", wrong)
    fresh = tmp_path / "fresh"
    with pytest.raises(FileNotFoundError, match="corrupted"):
        load("mnist", "train", root=fresh)
    assert not [path for path in fresh.rglob("*") if path.is_file()]


def test_the_second_server_is_asked_when_the_first_is_silent(
    server: str, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.5)
    monkeypatch.setattr(tv.MNIST, "mirrors", [silent, server])
    assert len(load("mnist", "test", root=tmp_path / "fresh").labels) == 12


def test_without_a_network_the_wait_is_bounded_and_the_message_helps(
    idx_root: Path, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.3)
    monkeypatch.setattr(tv.MNIST, "mirrors", [silent, silent])
    fresh = tmp_path / "fresh"
    started = time.monotonic()
    assert not available("mnist", root=fresh)
    with pytest.raises(FileNotFoundError) as error:
        load("mnist", "train", root=fresh)
    assert time.monotonic() - started < 3
    for part in (str(fresh), "train-images-idx3-ubyte.gz", "DPGEN_DATA", "glyphs"):
        assert part in str(error.value)
    assert not fresh.exists()


def test_a_name_lookup_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no time limit of its own, so the socket's does not help."""
    over = threading.Event()

    def hang(*_: object, **__: object) -> None:
        over.wait(10)
        raise OSError

    monkeypatch.setattr(data.urllib.request, "urlopen", hang)
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.2)
    started = time.monotonic()
    assert not data._answers("http://nowhere.invalid/")
    assert time.monotonic() - started < 5
    over.set()


def test_a_root_that_cannot_be_written_is_a_clear_error(server: str, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(FileNotFoundError, match=r"mnist: .*blocked.*DPGEN_DATA"):
        load("mnist", "train", root=blocked)
    assert not available("mnist", root=blocked)


# CelebA


def _part(path: Path, **changed: np.ndarray | None) -> None:
    """Eight records; green is 255 for men, red the partition."""
    partition = np.array([0, 0, 0, 0, 1, 2, 2, 2], dtype=np.uint8)
    male = np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=np.uint8)
    images = np.zeros((8, 3, 32, 32), dtype=np.uint8)
    images[:, 0], images[:, 1] = partition[:, None, None], 255 * male[:, None, None]
    arrays = {"images": images, "male": male, "partition": partition} | changed
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, **kept)  # type: ignore[arg-type]


@pytest.fixture
def celeba_root(tmp_path: Path) -> Path:
    for number in range(11):
        _part(tmp_path / "celeba" / f"celeba32-{number}.npz")
    return tmp_path


def test_celeba_parts_follow_the_official_split(celeba_root: Path) -> None:
    before = _tree(celeba_root)
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
    assert _tree(celeba_root) == before


def test_celeba_parts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(11):
        images = np.full((8, 3, 32, 32), number, dtype=np.uint8)
        _part(tmp_path / "celeba" / f"celeba32-{number}.npz", images=images)
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
    _part(celeba_root / "celeba" / "celeba32-1.npz", **changed)
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
        _part(celeba_root / "celeba" / "celeba32-0.npz", **{field: trap})
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


def test_celeba_as_torchvision_lays_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "celeba"
    (base / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, 7)]
    for number, name in enumerate(names):
        picture = Image.new("RGB", (178, 218), (40 * number, 0, 0))
        picture.paste((40 * number, 255, 0), (0, 109, 178, 218))  # the lower half: nothing cropped
        picture.save(base / "img_align_celeba" / name, quality=95)
    rows = {
        "list_eval_partition.txt": [f"{n} {i // 2}" for i, n in enumerate(names)],
        "identity_CelebA.txt": [f"{n} 1" for n in names],
        "list_bbox_celeba.txt": ["6", "image_id x_1", *(f"{n} 1" for n in names)],
        "list_landmarks_align_celeba.txt": ["6", "x y", *(f"{n} 1 1" for n in names)],
        "list_attr_celeba.txt": [
            "6",
            "Young Male",
            *(f"{n} 1 {1 if i % 2 else -1}" for i, n in enumerate(names)),
        ],
    }
    for name, lines in rows.items():
        (base / name).write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(tv.CelebA, "file_list", [("", None, name) for name in rows])
    before = _tree(tmp_path)
    assert available("celeba", root=tmp_path)
    loaded = load("celeba", "test", root=tmp_path)
    assert loaded.images.shape == (2, 3, 32, 32) and loaded.labels.tolist() == [0, 1]
    assert (loaded.images[:, 0, 2, 2] * 255).tolist() == pytest.approx([160, 200], abs=4)
    green = loaded.images[0, 1].mean(dim=1)  # rows
    assert green[:15].max() < 0.1 and green[17:].min() > 0.9
    one = load("celeba", "train", root=tmp_path, num_records=1)
    assert len(one.labels) == 1
    assert one.labels.item() == int(one.images[0, 0, 2, 2] * 255 > 20)
    assert _tree(tmp_path) == before
    (base / "list_attr_celeba.txt").unlink()
    assert not available("celeba", root=tmp_path)


def test_absent_celeba_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"celeba32-\*.npz.*torchvision.*DPGEN_DATA") as e:
        load("celeba", "train", root=tmp_path)
    assert str(tmp_path) in str(e.value)
    assert not available("celeba", root=tmp_path)


# Glyphs, specs, ImageData


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


# The real files; counts from their note of provenance


@pytest.mark.parametrize(
    ("name", "mean", "first"),
    [("mnist", 0.1307, [5, 0, 4, 1, 9]), ("fashion_mnist", 0.2860, [9, 0, 0, 3, 0])],
)
def test_real_idx_files(real_data: Path, name: str, mean: float, first: list[int]) -> None:
    before = _tree(real_data)
    assert available(name, root=real_data, download=False)
    train, test = load(name, "train", root=real_data), load(name, "test", root=real_data)
    assert train.images.shape == (60_000, 1, 28, 28) and test.images.shape == (10_000, 1, 28, 28)
    assert train_size(name, root=real_data) == 60_000
    assert len(train.labels.unique()) == 10 and train.labels[:5].tolist() == first
    assert float(train.images.mean()) == pytest.approx(mean, abs=1e-4)
    assert _tree(real_data) == before


def test_real_celeba(real_data: Path) -> None:
    before = _tree(real_data)
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
    assert _tree(real_data) == before
