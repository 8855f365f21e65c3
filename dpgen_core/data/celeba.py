"""CelebA with gender as the label: from prepared parts at 32x32, or from torchvision's layout.

Prepared parts are ``celeba/celeba32-<n>.npz`` with 8-bit arrays ``images``, ``male`` and
``partition`` (the official split). Torchvision's layout is ``celeba/img_align_celeba`` with the
tables ``list_eval_partition.txt`` and ``list_attr_celeba.txt``, each as it is or as a ZIP file. All
are checked before use, and nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dpgen_core.checks import require
from dpgen_core.data.sources import DatasetSpec, Loaded, Shape, Subset

PREPARED_SIDE = 32
_WHOLE_TRAINING = 162_770
PARTITIONS = {"train": 0, "valid": 1, "test": 2}
_FRESH = "a fresh copy of the file"


class CelebA:
    """A `sources.Source`; at sizes other than 32x32, and where there are no parts, from images."""

    spec = DatasetSpec("celeba", (3, PREPARED_SIDE, PREPARED_SIDE), ("female", "male"))
    splits = tuple(PARTITIONS)

    def load(self, folder: Path, subset: Subset, shape: Shape) -> Loaded:
        """See `sources.Source`; label 1 is male.

        At 32x32 whole images are resized, as in GS-WGAN; at other sizes it is their middle square,
        as in DPImageBench. Raises `InvalidArgument` for a part that is damaged or missing,
        `FileNotFoundError` if neither layout is there.
        """
        prepared = shape[1] == PREPARED_SIDE and _parts(folder)
        return (_load_parts if prepared else _load_images)(folder, subset, shape)

    def train_size(self, folder: Path, side: int) -> int:
        """Training records there are; of the whole data set where there are no files."""
        prepared = _prepared_size(folder, "train") if side == PREPARED_SIDE else None
        if prepared is not None:
            return prepared
        return len(_members(folder, "train")) if _laid_out(folder) else _WHOLE_TRAINING

    def available(self, folder: Path, *, download: bool) -> bool:
        """Whether either layout is there; nothing can be fetched."""
        return _prepared_size(folder, "train") is not None or _laid_out(folder)


def _laid_out(folder: Path) -> bool:
    """Whether torchvision's layout is there; the content of its files is not looked at."""
    base = folder / "celeba"
    tables = ("list_eval_partition", "list_attr_celeba")
    files = [(base / f"{name}.txt", base / f"{name}.zip") for name in tables]
    files.append((base / "img_align_celeba", base / "img_align_celeba.zip"))
    return all(plain.exists() or packed.exists() for plain, packed in files)


def _prepared_size(folder: Path, split: str) -> int | None:
    """Records of a split in the prepared parts, reading no images; None where there are none."""
    parts = _parts(folder)
    sizes = (int((_npz(part, "partition") == PARTITIONS[split]).sum()) for part in parts)
    return sum(sizes) if parts else None


def _parts(folder: Path) -> list[Path]:
    """The prepared parts in order; with a gap in their numbers records would be lost."""
    paths = (folder / "celeba").glob("celeba32-*.npz")
    numbers = {int(p.stem[9:]): p for p in paths if p.stem[9:].isdecimal()}
    found, wanted = sorted(numbers), list(range(len(numbers)))
    rule = "numbered 0, 1, ... without a gap"
    require(found == wanted, f"celeba32-*.npz in {folder}", found, rule, "adding the missing parts")
    return [numbers[number] for number in found]


def _npz(path: Path, field: str) -> np.ndarray:
    """One 8-bit array of a part; anything else is an error, pickled objects above all."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[field]
        problem = "" if array.dtype == np.uint8 else str(array.dtype)
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        problem = f"{type(error).__name__}: {error}"
    require(not problem, f"{field} in {path}", problem, "an unpickled array of uint8", _FRESH)
    return array


def _load_parts(folder: Path, subset: Subset, shape: Shape) -> Loaded:
    images, labels = [], []
    for path in _parts(folder):
        partition, male, pictures = (_npz(path, f) for f in ("partition", "male", "images"))
        n, shapes = len(partition), (partition.shape, male.shape, pictures.shape)
        rule = f"(N,), (N,) and (N, {', '.join(map(str, shape))})"
        require(shapes == ((n,), (n,), (n, *shape)), f"shapes in {path}", shapes, rule, _FRESH)
        for field, array, allowed in (("male", male, [0, 1]), ("partition", partition, [0, 1, 2])):
            values, rule = np.unique(array).tolist(), f"in {allowed}"
            require(set(values) <= set(allowed), f"{field} in {path}", values, rule, _FRESH)
        mine = partition == PARTITIONS[subset.split]
        images.append(torch.from_numpy(pictures[mine]))
        labels.append(torch.from_numpy(male[mine]))
    rows = subset.rows(sum(map(len, labels)))
    return torch.cat(images)[rows].float().div_(255), torch.cat(labels)[rows].long()


def _members(folder: Path, split: str) -> list[str]:
    """File names of a split, in the order of the official table."""
    rows = (line.split() for line in _table(folder, "list_eval_partition").splitlines())
    return [row[0] for row in rows if len(row) == 2 and row[1] == str(PARTITIONS[split])]


def _table(folder: Path, name: str) -> str:
    """A table's text, from the file itself or from its ZIP."""
    base = folder / "celeba"
    try:
        if (plain := base / f"{name}.txt").exists():
            return plain.read_text()
        with zipfile.ZipFile(base / f"{name}.zip") as archive:
            return archive.read(f"{name}.txt").decode()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"celeba: found neither celeba/celeba32-*.npz (for 32x32) nor torchvision's layout below "
            f"{folder.resolve()} ({name} is missing). Get CelebA from its authors (research license) "
            "and set DPGEN_DATA, or use dataset='glyphs', which needs no files."
        ) from error


def _load_images(folder: Path, subset: Subset, shape: Shape) -> Loaded:
    names = _members(folder, subset.split)
    lines = _table(folder, "list_attr_celeba").splitlines()
    column = lines[1].split().index("Male") + 1  # the file's name comes first
    male = {row[0]: row[column] == "1" for row in (line.split() for line in lines[2:])}
    chosen = [names[row] for row in subset.rows(len(names)).tolist()]
    unknown = [name for name in chosen if name not in male]
    require(not unknown, "list_attr_celeba", unknown[:5], "a row for every image", _FRESH)
    pixels = np.empty((len(chosen), *shape), dtype=np.uint8)
    base = folder / "celeba"
    with contextlib.ExitStack() as opened:
        archive = None
        if not (base / "img_align_celeba").is_dir():
            archive = opened.enter_context(zipfile.ZipFile(base / "img_align_celeba.zip"))
        for place, name in enumerate(chosen):
            inner = f"img_align_celeba/{name}"
            with archive.open(inner) if archive else open(base / inner, "rb") as file:
                pixels[place] = _fitted(Image.open(file), shape[1])
    labels = torch.tensor([male[name] for name in chosen], dtype=torch.int64)
    return torch.from_numpy(pixels).float().div_(255), labels


def _fitted(picture: Image.Image, side: int) -> np.ndarray:
    """(3, side, side) uint8."""
    width, height = picture.size
    box = (0.0, 0.0, float(width), float(height))
    if side != PREPARED_SIDE:
        cut = (height - min(width, height)) / 2
        box = (0.0, cut, float(width), height - cut)
    small = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box=box)
    return np.asarray(small).transpose(2, 0, 1)
