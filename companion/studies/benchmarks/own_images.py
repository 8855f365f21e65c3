"""Seconds and memory of ``dpgen synthesize`` on folders of many sizes, each in a process of its own.

``python -m companion.studies.benchmarks.own_images [--list]`` draws a folder, makes a set from it
with the defaults and epsilon 3, and adds what that took to ``results/own_images.json``; what is there
already is left alone, so that it may be stopped at any moment. The smallest folders come first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from companion.studies.resumable import add_answer, load_answers, make_missing, unanswered
from dpgen_core.checks import require
from dpgen_core.records.provenance import provenance
from dpgen_core.records.record import load_records

OWN_IMAGES_FILE = "own_images.json"
COUNTS, SIDES = (60, 600, 6_000, 30_000), (28, 32, 64, 128)
SHAPES = ("cross", "disc", "ring", "square")  # the classes
EPSILON = 3.0
_FORECAST = re.compile(r"forecast: about (?P<time>\d+) (?P<unit>s|min) and (?P<memory>[\d.]+) GB")


@dataclass(frozen=True)
class Folder:
    """A folder of drawn shapes, and whether metrics are asked for."""

    images: int
    side: int
    color: bool
    evaluated: bool = True

    def name(self) -> str:
        """Its entry in the file."""
        kind = "color" if self.color else "gray"
        less = "" if self.evaluated else ", --no-evaluation"
        return f"{self.images} {kind}, {self.side}x{self.side}{less}"

    def order(self) -> tuple[int, bool, bool]:
        """Ascending from small to large."""
        return self.images * self.side**2, self.color, self.evaluated


def folders() -> list[Folder]:
    """All of them, the smallest first."""
    all_of_them = [
        Folder(n, side, color) for n in COUNTS for side in SIDES for color in (False, True)
    ]
    all_of_them.append(Folder(600, 28, False, evaluated=False))
    return sorted(all_of_them, key=Folder.order)


def load_own_images(results: Path) -> dict[str, Any]:
    """What was measured so far: ``folders``, by name, and ``made_with``."""
    return load_answers(results / OWN_IMAGES_FILE)


def missing(results: Path) -> list[Folder]:
    """The folders that the file has no answer for, in order."""
    return unanswered(results / OWN_IMAGES_FILE, "folders", folders())


def run_all(left: Sequence[Folder], results: Path) -> None:
    """Measure these; the file is whole after each."""
    for folder in left:
        made_with = provenance(torch.device("cpu"))
        answer = measure(folder)
        path = results / OWN_IMAGES_FILE
        add_answer(path, "folders", folder.name(), answer, made_with=made_with)
        print(f"{folder.name()}: {answer}", flush=True)


def measure(folder: Folder, options: Sequence[str] = ()) -> dict[str, Any]:
    """Draw a folder and make a set from it in a fresh process, with the allocator as users have it.

    `options` of ``dpgen synthesize`` come after those that the folder asks for.
    """
    with tempfile.TemporaryDirectory() as scratch:
        images, records = Path(scratch) / "images", Path(scratch) / "results"
        write_shapes(images, folder)
        command = [*(sys.executable, "-m", "dpgen_core.cli", "synthesize", str(images))]
        command += [str(Path(scratch) / "set"), "--results", str(records), "--device", "cpu"]
        command += ["--epsilon", str(EPSILON), "--size", str(folder.side)]
        command += ["--color"] * folder.color + ["--no-evaluation"] * (not folder.evaluated)
        command += options
        usual = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
        load_average, started = os.getloadavg()[0], time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=usual)
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        rule = "exit status 0"
        require(process.returncode == 0, " ".join(command), process.returncode, rule, "its errors")
        metrics = load_records(records)[0].metrics
    in_kilobytes = 1 if sys.platform == "darwin" else 1024
    return asdict(folder) | {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "memory_gb": round(used.ru_maxrss * in_kilobytes / 1e9, 2),
        **forecast_in(said),
        "g2r_cnn": metrics.get("g2r_cnn"),
        "real_cnn": metrics.get("real_cnn"),
        "load_average": round(load_average, 1),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def forecast_in(said: str) -> dict[str, float]:
    """Seconds and gigabytes that a run forecast, from what it said."""
    found = _FORECAST.search(said)
    require(found is not None, "said", said, "lines with a forecast", "delivery.forecast")
    assert found is not None
    seconds = float(found["time"]) * (60 if found["unit"] == "min" else 1)
    return {"forecast_seconds": seconds, "forecast_gb": float(found["memory"])}


def write_shapes(target: Path, folder: Folder) -> None:
    """One PNG for each image, in a subfolder for each of `SHAPES`."""
    for name in SHAPES:
        (target / name).mkdir(parents=True)
    for number, pixels in enumerate(drawn_shapes(folder)):
        name = SHAPES[number % len(SHAPES)]
        # Files that compress little are written faster.
        Image.fromarray(pixels).save(target / name / f"{number:06d}.png", compress_level=1)


def drawn_shapes(folder: Folder) -> Iterator[np.ndarray]:
    """Light shapes on dark ground, (side, side[, 3]) uint8, one of each class in turn."""
    random, axis = np.random.default_rng(0), np.arange(folder.side)
    for number in range(folder.images):
        name = SHAPES[number % len(SHAPES)]
        x, y = random.uniform(0.35, 0.65, 2) * folder.side
        reach = random.uniform(0.15, 0.3) * folder.side
        dx, dy = np.abs(axis - x)[None, :], np.abs(axis - y)[:, None]
        far = np.hypot(dx, dy) if name in ("disc", "ring") else np.maximum(dx, dy)  # (side, side)
        inside = far < reach
        if name == "ring":
            inside &= far > 0.6 * reach
        elif name == "cross":
            inside &= np.minimum(dx, dy) < 0.25 * reach
        ground, light = random.integers(0, 90, 3), random.integers(150, 256, 3)
        pixels = np.where(inside[..., None], light, ground).astype(np.uint8)
        yield pixels if folder.color else pixels[..., 0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("benchmarks.own_images", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Folder.name,
    )


if __name__ == "__main__":
    sys.exit(main())
