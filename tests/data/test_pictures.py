"""Files as people have them: the right pixels, or a refusal before anything is spent.

Every kind of file and of folder below was read wrongly, or dropped without a word, by some tool.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.data import folders, sets

CLASSES = ("cross", "disc")


def drawn(number: int, side: int = 32) -> np.ndarray:
    """A bright square at one of many places on dark ground, (side, side) uint8."""
    pixels = np.full((side, side), 20, dtype=np.uint8)
    top, left = (number * 5) % (side // 2), (number * 3) % (side // 2)
    pixels[top : top + side // 2, left : left + side // 2] = 200
    return pixels


Writer = Callable[[np.ndarray, Path], None]


def fill(root: Path, write: Writer, *, ending: str = "png", count: int = 12) -> Path:
    for label in CLASSES:
        (root / label).mkdir(parents=True)
    for number in range(count):
        write(drawn(number), root / CLASSES[number % 2] / f"{number:03d}.{ending}")
    return root


def plain(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(path)


def deep(top: float, dtype: type) -> Writer:
    def write(pixels: np.ndarray, path: Path) -> None:
        Image.fromarray((pixels / 255 * top).astype(dtype)).save(path)

    return write


def turned(pixels: np.ndarray, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(np.rot90(pixels)).save(path, exif=exif, quality=95)


def hidden_colors(pixels: np.ndarray, path: Path) -> None:
    """Opaque gray; the lower half is transparent over loud colors."""
    layers = np.stack([pixels, pixels, pixels, np.full_like(pixels, 255)], axis=2)
    layers[16:, :, 3] = 0
    layers[16:, :, :3] = (255, 0, 255)
    Image.fromarray(layers).save(path)


def palette_with_a_hole(pixels: np.ndarray, path: Path) -> None:
    """Indexed colors, of which the dark ground is transparent."""
    indexed = Image.fromarray(np.where(pixels == 20, 1, 0).astype(np.uint8)).convert("P")
    indexed.putpalette([200, 200, 200, 255, 0, 255])
    indexed.save(path, transparency=1)


def four_inks(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).convert("RGB").convert("CMYK").save(path, quality=95)


def two_frames(pixels: np.ndarray, path: Path) -> None:
    second = Image.fromarray(np.zeros_like(pixels))
    Image.fromarray(pixels).save(path, save_all=True, append_images=[second])


def on_white(pixels: np.ndarray) -> np.ndarray:
    return np.where(pixels == 20, 255, pixels)


def lower_half_white(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels[:16], np.full_like(pixels[16:], 255)])


@pytest.mark.parametrize(
    ("write", "ending", "maximum", "shown"),
    [
        pytest.param(plain, "png", None, None, id="gray"),
        pytest.param(deep(65535, np.uint16), "png", 65535, None, id="16 bits, png"),
        pytest.param(deep(65535, np.uint16), "tif", 65535, None, id="16 bits, tif"),
        pytest.param(deep(4095, np.uint16), "tif", 4095, None, id="12 of 16 bits"),
        pytest.param(deep(65535, np.int32), "tif", 65535, None, id="32 bits"),
        pytest.param(deep(1.0, np.float32), "tif", 1.0, None, id="fractions"),
        pytest.param(turned, "jpg", None, None, id="turned by EXIF"),
        pytest.param(hidden_colors, "png", None, lower_half_white, id="colors under alpha"),
        pytest.param(palette_with_a_hole, "png", None, on_white, id="transparent palette"),
        pytest.param(four_inks, "jpg", None, None, id="CMYK"),
        pytest.param(two_frames, "gif", None, None, id="first frame"),
        *(
            pytest.param(plain, ending, None, None, id=ending)
            for ending in ("JPG", "webp", "bmp", "jp2", "tiff", "gif", "PGM")
        ),
    ],
)
@pytest.mark.parametrize("color", [False, True])
def test_what_a_viewer_shows_is_read(
    write: Writer,
    ending: str,
    maximum: float | None,
    shown: Callable[[np.ndarray], np.ndarray] | None,
    color: bool,
    tmp_path: Path,
) -> None:
    root = fill(tmp_path / "images", write, ending=ending)
    name = "folder_color" if color else "folder_gray"
    pool = sets.load(name, "all", root=root, image_size=32, maximum=maximum)
    assert pool.images.shape == (12, 3 if color else 1, 32, 32)
    assert pool.labels.tolist() == [number % 2 for number in range(12)]
    for number, image in enumerate(pool.images):
        wanted = drawn(number) if shown is None else shown(drawn(number))
        away = (image * 255 - torch.from_numpy(wanted.copy()).float()).abs()
        # JPEG and JPEG 2000 lose a little at edges, and a turned or white picture would lose much.
        assert float(away.mean()) < 4.0
        assert abs(float(image.mean()) * 255 - wanted.mean()) < 2.0


@pytest.mark.parametrize(
    ("write", "ending"),
    [
        (deep(65535, np.uint16), "png"),
        (deep(4095, np.uint16), "tif"),
        (deep(65535, np.int32), "tif"),
        (deep(1.0, np.float32), "tif"),
    ],
)
def test_deep_files_are_refused_without_a_public_maximum(
    write: Writer, ending: str, tmp_path: Path
) -> None:
    root = fill(tmp_path / "images", write, ending=ending)
    with pytest.raises(InvalidArgument, match=r"maximum: .*12 files of more than 8 bits.*4095"):
        sets.load("folder_gray", "all", root=root)


def test_a_maximum_is_the_users_and_never_the_records(tmp_path: Path) -> None:
    """One record must not change how another is read."""
    root = fill(tmp_path / "images", deep(1000, np.uint16), ending="tif")
    before = sets.load("folder_gray", "all", root=root, maximum=4095).images
    bright = np.full((32, 32), 60_000, dtype=np.uint16)
    Image.fromarray(bright).save(root / "disc" / "001.tif")
    after = sets.load("folder_gray", "all", root=root, maximum=4095).images
    changed = (before != after).flatten(1).any(1).nonzero().flatten().tolist()
    assert changed == [1] and float(after[1].min()) == 1.0


def test_values_that_are_not_finite_are_named(tmp_path: Path) -> None:
    root = fill(tmp_path / "images", deep(1.0, np.float32), ending="tif")
    Image.fromarray(np.full((32, 32), np.nan, dtype=np.float32)).save(root / "disc" / "001.tif")
    with pytest.raises(InvalidArgument, match=r"disc/001.tif \(values that are not finite\)"):
        sets.load("folder_gray", "all", root=root, maximum=1.0)


def test_every_damaged_file_is_named_in_one_line(tmp_path: Path) -> None:
    root = fill(tmp_path / "images", plain)
    half = root / "cross" / "000.png"
    half.write_bytes(half.read_bytes()[:60])
    (root / "disc" / "001.png").write_bytes(b"")
    (root / "disc" / "003.png").write_text("a page that says: not found")
    with pytest.raises(InvalidArgument) as caught:
        sets.load("folder_gray", "all", root=root)
    text = str(caught.value)
    assert "\n" not in text and "3 are not" in text
    assert all(name in text for name in ("cross/000.png", "disc/001.png", "disc/003.png"))


def test_an_oblong_picture_is_its_middle_square(tmp_path: Path) -> None:
    def wide(pixels: np.ndarray, path: Path) -> None:
        Image.fromarray(np.pad(pixels, ((0, 0), (16, 16)), constant_values=255)).save(path)

    root = fill(tmp_path / "images", wide)
    first = sets.load("folder_gray", "all", root=root, image_size=32).images[0, 0]
    assert torch.equal((first * 255).round().to(torch.uint8), torch.from_numpy(drawn(0)))


def test_what_is_not_read_is_counted_and_named(tmp_path: Path) -> None:
    root = fill(tmp_path / "images", plain)
    for folder in (".ipynb_checkpoints", "__MACOSX", "disc/.cache"):
        (root / folder).mkdir()
        plain(drawn(0), root / folder / "000.png")
    (root / "disc" / "._001.png").write_bytes(b"\0\5\26\7")
    (root / "disc" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (root / "disc" / "scan.dcm").write_bytes(b"DICM")
    (root / "cross" / "notes").write_text("none")
    (root / "readme.txt").write_text("where the pictures are from")
    listing = folders.list_folder(root)
    assert listing.class_names == CLASSES and len(listing.files) == 12
    assert listing.counts() == [6, 6]
    assert listing.left_out == {
        "hidden, or made by the system": (
            *(".ipynb_checkpoints", "__MACOSX"),
            *("disc/._001.png", "disc/.cache", "disc/Thumbs.db"),
        ),
        "beside the classes' folders": ("readme.txt",),
        "ending .dcm": ("disc/scan.dcm",),
        "ending (none)": ("cross/notes",),
    }
    assert sets.train_size("folder_gray", root=root) == 10


@pytest.mark.parametrize("parts", [("train", "val"), ("Train", "Test"), ("train",)])
def test_splits_above_the_classes_are_seen(parts: tuple[str, ...], tmp_path: Path) -> None:
    for part in parts:
        fill(tmp_path / "images" / part, plain)
    with pytest.raises(InvalidArgument, match="parts of a data set, not classes") as caught:
        make_config(dataset="folder_gray", root=tmp_path / "images")
    assert str(tmp_path / "images" / sorted(parts)[0]) in str(caught.value)


def test_one_class_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "images" / "disc").mkdir(parents=True)
    plain(drawn(0), tmp_path / "images" / "disc" / "0.png")
    with pytest.raises(InvalidArgument, match="two or more") as caught:
        make_config(dataset="folder_gray", root=tmp_path / "images")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 8, 30, 132, -28, 28.0, "28", True])
def test_a_size_that_cannot_be_made_is_refused(size: object, tmp_path: Path) -> None:
    root = fill(tmp_path / "images", plain)
    with pytest.raises(InvalidArgument, match=r"image_size: .*multiple of 4 from 16 to 128"):
        make_config(dataset="folder_gray", root=root, image_size=size)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="image_size"):
        make_config(dataset="glyphs", image_size=size)  # type: ignore[arg-type]


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "images", plain)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sets.train_size("folder_gray", root="~/images") == 10
    assert make_config(dataset="folder_gray", root=Path("~/images")).privacy.num_records == 10


def test_few_files_need_all_of_them(tmp_path: Path) -> None:
    root = fill(tmp_path / "images", plain, count=4)
    with pytest.raises(InvalidArgument, match=r"images: received 4, .*evaluated=False"):
        make_config(dataset="folder_gray", root=root)
    settings = {"method": "gaussian", "evaluated": False}
    config = make_config(dataset="folder_gray", root=root, **settings)  # type: ignore[arg-type]
    assert config.privacy.num_records == 4


@pytest.mark.parametrize("form", ["plain", "medmnist"])
@pytest.mark.parametrize("color", [False, True])
def test_an_archive_holds_the_records_that_a_folder_would(
    form: str, color: bool, tmp_path: Path
) -> None:
    images = np.stack([drawn(number) for number in range(12)])
    if color:
        images = np.stack([images, images // 2, images // 3], axis=3)
    labels = np.arange(12) % 2
    arrays = {"images": images, "labels": labels}
    if form == "medmnist":
        parts = {"train": slice(0, 7), "val": slice(7, 9), "test": slice(9, 12)}
        arrays = {f"{part}_images": images[rows] for part, rows in parts.items()}
        arrays |= {f"{part}_labels": labels[rows, None] for part, rows in parts.items()}
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    name = "folder_color" if color else "folder_gray"
    pool = sets.load(name, "all", root=path, image_size=32)
    assert pool.class_names == ("0", "1") and pool.labels.tolist() == labels.tolist()
    wanted = torch.from_numpy(images).float().div(255)
    wanted = wanted.permute(0, 3, 1, 2) if color else wanted[:, None]
    assert torch.equal(pool.images, wanted)
    assert sets.train_size(name, root=path) == 10


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"images": np.zeros((12, 8, 8), np.uint8)}, "labels in .*unpickled array"),
        ({"labels": np.zeros((12, 3), np.uint8)}, r"labels in .*\(12, 3\)"),
        ({"labels": np.zeros(12, np.float32)}, "labels in .*float32"),
        ({"labels": np.full(12, -1)}, "labels in"),
        ({"labels": np.zeros(12, int)}, "with 1 labels"),
        ({"labels": np.arange(12), "images": np.zeros((9, 8, 8), np.uint8)}, "N = 12"),
        ({"labels": np.arange(12), "images": np.zeros((12, 8, 8, 2), np.uint8)}, "images in"),
        ({"labels": np.arange(12), "images": np.array([{}] * 12)}, "images in .*unpickled"),
        ({"labels": np.arange(12), "images": np.zeros((12, 8, 8), np.uint16)}, "maximum"),
    ],
)
def test_a_bad_archive_is_one_line(
    arrays: dict[str, np.ndarray], match: str, tmp_path: Path
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=match) as caught:
        sets.load("folder_gray", "all", root=path)
    assert "\n" not in str(caught.value)
