"""A look at a folder that is larger than memory: one picture at a time, and none is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpgen_core.data import pictures
from dpgen_core.delivery.survey import survey

SPARE = 200  # MiB that a second look may take beyond the first


def write(root: Path, *, count: int, side: int) -> Path:
    """`count` names of one gray file, in two classes: they take no more room than one."""
    root.mkdir(parents=True)
    one = root / "one.pgm"
    pixels = np.random.default_rng(0).integers(0, 255, (side, side)).astype(np.uint8)
    one.write_bytes(f"P5 {side} {side} 255 ".encode() + pixels.tobytes())
    for number in range(count):
        place = root / "ab"[number % 2] / f"{number:05d}.pgm"
        place.parent.mkdir(exist_ok=True)
        os.link(one, place)
    one.unlink()
    return root


def test_one_picture_is_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "images", count=40, side=64)
    alive, most, honest = 0, 0, pictures.open_picture

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def counted(path: Path) -> Image.Image:
        nonlocal alive, most
        picture = honest(path)
        weakref.finalize(picture, gone)
        alive += 1
        most = max(most, alive)
        return picture

    monkeypatch.setattr(pictures, "open_picture", counted)
    found = survey(root, channels=1, size=32, maximum=None)
    assert sum(found.sizes.values()) == 40
    assert 1 <= most <= 2  # the last one is still there when the next is opened


@pytest.mark.skipif(sys.platform != "linux", reason="limits and sizes of a process, as Linux has")
def test_a_folder_larger_than_memory_is_looked_at(tmp_path: Path) -> None:
    """Under a limit far below the folder's pixels; kept, a quarter of them would pass it."""
    small = write(tmp_path / "small", count=60, side=64)
    large = write(tmp_path / "large", count=800, side=1024)
    code = (
        "import re, resource, sys\n"
        "from pathlib import Path\n"
        "from dpgen_core import cli\n"
        "def check(folder):\n"
        "    return cli.main(['check', folder, '--epsilon', '3', '--profile', 'smoke',\n"
        "        '--results', sys.argv[3]])\n"
        "assert check(sys.argv[1]) == 0\n"
        "status = Path('/proc/self/status').read_text()\n"
        "held = 1024 * int(re.search(r'VmData:\\s+(\\d+)', status)[1])\n"
        f"limit = held + {SPARE} * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))\n"
        "sys.exit(check(sys.argv[2]))\n"
    )
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    ran = subprocess.run(
        [sys.executable, "-c", code, str(small), str(large), str(tmp_path / "results")],
        env=usual,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "images: 800 in 2 classes" in ran.stdout and "sides (private): 1024" in ran.stdout
