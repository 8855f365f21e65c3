"""Folders as people have them, from `dpgen check` to the set: right, or refused before anything.

Each kind was read wrongly, or dropped without a word, by some tool. A table is printed at the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dpgen_core import cli
from dpgen_core.data import sets

SIDE, EACH = 32, 30
CLASSES = ("frame", "stripes")
SMOKE = ("--profile", "smoke", "--epsilon", "8", "--method", "gaussian", "--size", str(SIDE))


def drawn(label: int, number: int) -> np.ndarray:
    """A bright frame or bright stripes on dark ground at one of many places, (side, side) uint8."""
    rng = np.random.default_rng([label, number])
    pixels = np.full((SIDE, SIDE), int(rng.integers(0, 60)), dtype=np.uint8)
    top, left = rng.integers(0, SIDE // 2, 2)
    inside = pixels[top : top + SIDE // 2, left : left + SIDE // 2]
    if label:
        inside[::4], inside[1::4] = 220, 220
    else:
        inside[:3], inside[-3:], inside[:, :3], inside[:, -3:] = 220, 220, 220, 220
    return pixels


Write = Callable[[np.ndarray, Path], None]


def plain(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(path)


def fill(
    root: Path,
    *,
    write: Write = plain,
    names: tuple[str, ...] = CLASSES,
    counts: tuple[int, ...] = (EACH, EACH),
    ending: str = "png",
    equal_names: bool = False,
) -> Path:
    number = 0
    for label, (name, count) in enumerate(zip(names, counts, strict=True)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            file = f"{k if equal_names else number:05d}.{ending}"
            write(drawn(label % 2, k), root / name / file)
            number += 1
    return root


def deep(top: float, dtype: type) -> Write:
    def write(pixels: np.ndarray, path: Path) -> None:
        Image.fromarray((pixels / 255 * top).astype(dtype)).save(path)

    return write


def turned(pixels: np.ndarray, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8  # to be turned against the clock by a quarter
    Image.fromarray(np.rot90(pixels, -1)).save(path, exif=exif, quality=95)


def colors_under_alpha(pixels: np.ndarray, path: Path) -> None:
    """Noise in loud colors lies under the transparent lower half."""
    layers = np.repeat(pixels[:, :, None], 4, axis=2)
    layers[:, :, 3] = 255
    layers[SIDE // 2 :, :, :3] = np.random.default_rng(0).integers(0, 255, (SIDE // 2, SIDE, 3))
    layers[SIDE // 2 :, :, 3] = 0
    Image.fromarray(layers).save(path)


def half_white(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels[: SIDE // 2], np.full_like(pixels[SIDE // 2 :], 255)])


def oblong(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(np.pad(pixels, ((0, 0), (SIDE // 2, SIDE // 2)))).save(path)


def of_all_endings(root: Path) -> Path:
    for ending in ("gif", "JPG", "webp", "bmp", "jp2", "tiff"):
        for label, name in enumerate(CLASSES):
            (root / name).mkdir(parents=True, exist_ok=True)
            for k in range(5):
                plain(drawn(label, k), root / name / f"{ending}-{k}.{ending}")
    return root


def with_what_systems_leave(root: Path) -> Path:
    fill(root, names=(*CLASSES, ".ipynb_checkpoints", "__MACOSX"), counts=(EACH, EACH, 3, 3))
    (root / CLASSES[0] / "._00001.png").write_bytes(b"\0\5\26\7")
    (root / CLASSES[0] / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    return root


def split(root: Path) -> Path:
    for part, count in (("train", EACH), ("val", 6)):
        fill(root / part, counts=(count, count))
    return root


def damaged(root: Path) -> Path:
    fill(root)
    half = root / CLASSES[0] / "00003.png"
    half.write_bytes(half.read_bytes()[:70])
    (root / CLASSES[1] / "00040.png").write_bytes(b"")
    return root


@dataclass(frozen=True)
class Case:
    name: str
    right: str
    make: Callable[[Path], Path] = fill
    words: tuple[str, ...] = ()  #: of the command
    refused: str = ""  #: pattern of the one line; empty: a set comes out
    says: tuple[str, ...] = ()  #: in what `check` prints
    shown: Callable[[np.ndarray], np.ndarray] | None = (
        None  #: of a drawing, as is; None: not compared
    )
    records: int = 2 * EACH


def same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def filled(**how: object) -> Callable[[Path], Path]:
    return lambda root: fill(root, **how)  # type: ignore[arg-type]


DEEP = {
    "16 bits": (65535, np.uint16, "png"),
    "12 bits of 16": (4095, np.uint16, "tif"),
    "32 bits": (65535, np.int32, "tif"),
    "fractions": (1, np.float32, "tif"),
}
MONEY = ("$0-$50", "$50_$100", "50%{x}", "grün")
CASES = [
    Case("60 files", "a warning that these are few", says=("are few",), shown=same),
    Case("600 files", "a set", filled(counts=(300, 300)), shown=same, records=600),
    *(
        Case(
            f"{name}, no maximum",
            "refused: nobody said what is white",
            filled(write=deep(top, dtype), ending=ending),
            refused=r"maximum: .*60 files of more than 8 bits.*--maximum",
        )
        for name, (top, dtype, ending) in DEEP.items()
    ),
    *(
        Case(
            f"{name}, a maximum",
            "the grays of 8 bits",
            filled(write=deep(top, dtype), ending=ending),
            words=("--maximum", str(top)),
            shown=same,
        )
        for name, (top, dtype, ending) in DEEP.items()
    ),
    Case("turned by EXIF", "upright", filled(write=turned, ending="jpg"), shown=same),
    Case("transparent", "on white", filled(write=colors_under_alpha), shown=half_white),
    Case("equal names", "accepted", filled(equal_names=True), shown=same),
    Case("train and val", "refused: no classes", split, refused="parts of a data set, not classes"),
    Case(
        "odd class names",
        "shown as they are",
        filled(names=MONEY, counts=(EACH,) * 4),
        says=("$0-$50 30, $50_$100 30, 50%{x} 30, grün 30",),
        records=4 * EACH,
    ),
    Case(
        "systems' files",
        "left out and named",
        with_what_systems_leave,
        says=("left out: 4, hidden, or made by the system: .ipynb_checkpoints, __MACOSX",),
        shown=same,
    ),
    Case("other endings", "read", of_all_endings, says=("images: 60 in 2 classes",)),
    Case(
        "one class",
        "refused in one line",
        filled(names=("frame",), counts=(EACH,)),
        refused="with 1 subfolders.*two or more",
    ),
    Case("two of each", "a warning", filled(counts=(2, 2)), says=("hopeless",), records=4),
    Case(
        "200 classes",
        "a warning",
        filled(names=tuple(f"c{k:03d}" for k in range(200)), counts=(4,) * 200),
        says=("images: 800 in 200 classes", "hopeless"),
        records=800,
    ),
    Case(
        "uneven classes",
        "a warning, shares on request",
        filled(counts=(570, 30)),
        words=("--proportional", "--count", "200"),
        says=("classes are uneven (private): 30 to 570", "--proportional"),
        records=600,
    ),
    Case(
        "damaged files",
        "one line that names them all",
        damaged,
        refused=r"frame/00003.png \(.*stripes/00040.png \(no picture\).*2 are not",
    ),
    Case("oblong", "the middle square", filled(write=oblong), shown=same),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_read_right_or_refused_before_anything_is_spent(
    case: Case,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    record_property("folder", case.name)
    record_property("right", case.right)
    root, results, target = case.make(tmp_path / "images"), tmp_path / "results", tmp_path / "made"
    of_check = [word for word in case.words if word not in ("--proportional", "--count", "200")]
    where = ["--results", str(results), "--no-evaluation"]
    codes = [cli.main(["check", str(root), *SMOKE, *of_check, *where])]
    looked = capsys.readouterr()
    assert not results.exists()
    codes.append(cli.main(["synthesize", str(root), str(target), *SMOKE, *case.words, *where]))
    made = capsys.readouterr()
    if case.refused:
        assert codes == [2, 2] and not results.exists() and not target.exists()
        for error in (looked.err, made.err):
            assert re.search(case.refused, error) and error.count("\n") == 1
        line = made.err.split(": ", 1)[1].replace(str(tmp_path), "").strip()
        record_property("became", f"refused: {line[:70]} ...")
        return
    assert codes == [0, 0]
    for text in case.says:
        assert text in looked.out
    privacy = json.loads((target / "privacy.json").read_text())
    assert privacy["num_records"] == case.records and privacy["releasable"]
    names = sorted(path.name for path in (target / "images").iterdir())
    assert names == sorted(privacy["class_names"])
    drawn_of = [len(list((target / "images" / name).iterdir())) for name in names]
    if "--proportional" in case.words:  # the released counts are those of the records, and noise
        assert sum(drawn_of) == 200 and drawn_of[0] > 2 * drawn_of[1]
    else:
        assert max(drawn_of) - min(drawn_of) <= 1
    if case.shown is not None:
        compare(case, root)
    shown = ", read as drawn" if case.shown else ""
    told = [line for line in looked.out.splitlines() if line.startswith(("warning", "left out"))]
    more = f"; {told[0][:60]} ..." if told and not shown else ""
    record_property("became", f"{sum(drawn_of)} images of {case.records} records{shown}{more}")


def compare(case: Case, root: Path) -> None:
    """What is learned from are the drawings; JPEG loses a little at edges."""
    maximum = float(case.words[1]) if "--maximum" in case.words else None
    pool = sets.load("folder_gray", "all", root=root, image_size=SIDE, maximum=maximum)
    assert case.shown is not None
    wanted = {label: [] for label in (0, 1)}  # type: ignore[var-annotated]
    found = {label: pool.images[pool.labels == label] for label in (0, 1)}
    for label, images in found.items():
        wanted[label] = [case.shown(drawn(label, k)) for k in range(len(images))]
        expected = torch.from_numpy(np.stack(wanted[label])).float()  # (n, side, side)
        away = (images[:, 0] * 255 - expected).abs().flatten(1).mean(1)
        assert float(away.max()) < 4.0
