"""Files that appear whole: a reader sees the old one or the new one, never a part.

>>> import tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "answer.txt"
>>> with whole(path) as partial:
...     _ = partial.write_text("42")
>>> path.read_text(), len(list(path.parent.iterdir()))
('42', 1)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which it replaces at the end of the block.

    If the block fails, nothing is left of it, and `path` is as it was. For text see `write_whole`.
    """
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step."""
    with whole(path) as partial:
        partial.write_text(text)


def write_private(path: Path, text: str) -> None:
    """Write a text file in one step, for its owner alone to read, and on the disk when this returns."""
    with whole(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
