"""Data sets whose files and checksums are published: found or fetched, checked, then read.

Nothing is written to a folder that holds the files, and a download appears there complete or not at
all. Files are checked before use, and none is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import shutil
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dpgen_core.checks import require
from dpgen_core.data.sources import DatasetSpec, Loaded, Shape, Subset

DOWNLOAD_SECONDS = 10.0  # longest wait for a server's answer
PathOf = Callable[[str], Path]  # from a file's name to its path, once its checksum was compared


@dataclass(frozen=True)
class Files:
    """Where a data set's files lie, what they are, and who serves them."""

    folder: str  #: below the data folder
    sums: Mapping[str, str]  #: published MD5 sum by file name
    mirrors: tuple[str, ...]  #: servers, as the part of the address before the file name

    def missing(self, root: Path) -> list[str]:
        """Names of the files that are absent."""
        return [name for name in self.sums if not (root / self.folder / name).exists()]

    def all_good(self, root: Path) -> bool:
        """Whether every file is there and is the published one."""
        return all(_md5(root / self.folder / name) == md5 for name, md5 in self.sums.items())

    def checked(self, root: Path, name: str) -> Path:
        """The path of a file; raises `InvalidArgument` unless it is the published one."""
        path, md5 = root / self.folder / name, self.sums[name]
        found, rule = _md5(path), f"{md5}, the published file's; this one is damaged or another"
        require(found == md5, f"MD5 sum of {path}", found, rule, "a fresh copy of the file")
        return path


@dataclass(frozen=True)
class PublishedSet:
    """A `sources.Source` whose records are the same everywhere."""

    spec: DatasetSpec
    training_records: int  #: in the published training split
    files: Callable[[], Files]  #: asked late: torchvision, which knows them, is slow to import
    read: Callable[[PathOf, str], Loaded]  #: (N, c, h, w) uint8 and (N,) int64 of a split
    splits: tuple[str, ...] = ("train", "test")

    def load(self, folder: Path, subset: Subset, shape: Shape) -> Loaded:
        """See `sources.Source`; only the files of that split are looked at."""
        files = self.files()
        _download_missing(self.spec.name, folder, files)
        pixels, labels = self.read(lambda name: files.checked(folder, name), subset.split)
        shapes = tuple(pixels.shape), tuple(labels.shape)
        what, rule = f"shapes of {self.spec.name}/{subset.split}", "as many labels as images"
        require(len(pixels) == len(labels), what, shapes, rule, "fresh copies of the files")
        rows = subset.rows(len(labels))
        return pixels[rows].contiguous().float().div_(255), labels[rows]

    def train_size(self, folder: Path, side: int) -> int:
        """See `sources.Source`; as published, whether or not the files are there."""
        return self.training_records

    def available(self, folder: Path, *, download: bool) -> bool:
        """See `sources.Source`."""
        files = self.files()
        if download:
            _download_missing(self.spec.name, folder, files)
        return files.all_good(folder)


def _download_missing(name: str, root: Path, files: Files) -> None:
    """Fetch the files that are absent, each checked before it gets its name."""
    missing, place = files.missing(root), root / files.folder
    if not missing:
        return
    try:
        server = next((url for url in files.mirrors if _answers(url + missing[0])), None)
        if server is None:
            raise OSError(f"no answer from {' or '.join(files.mirrors)}")
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as scratch:
            for file in missing:
                partial = Path(scratch) / file
                with _open(server + file) as response, open(partial, "wb") as target:
                    shutil.copyfileobj(response, target)
                if _md5(partial) != files.sums[file]:
                    raise OSError(f"{file} from {server} is corrupted")
                partial.replace(place / file)
    except (OSError, http.client.HTTPException) as error:
        raise FileNotFoundError(
            f"{name}: {', '.join(missing)} not found in {place.resolve()}, and the download failed "
            f"({error}). Put the files there, set DPGEN_DATA to a folder that holds them, or use "
            "dataset='glyphs', which needs no files."
        ) from error


def _answers(url: str) -> bool:
    """Whether a server answers in time. In a thread, as name lookup has no time limit."""
    answers = []

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            _open(url, method="HEAD").close()
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_SECONDS)
    return bool(answers)


def _open(url: str, method: str = "GET") -> http.client.HTTPResponse:
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "dpgen"})
    return urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS)


def _md5(path: Path) -> str | None:
    """In pieces, as archives are large; None where there is no file."""
    if not path.exists():
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
