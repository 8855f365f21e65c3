"""Images and labels in one ``.npz``: ``images`` and ``labels``, or MedMNIST's six arrays.

MedMNIST's parts are put together in the order train, val, test: what is held out for the metrics is
drawn anew. Labels are whole numbers from 0; their largest is taken to be public. Nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dpgen_core.checks import InvalidArgument, require

_PARTS = ("train", "val", "test")


def read_labels(path: Path) -> np.ndarray:
    """Labels (N,), int64."""
    parts = [part.reshape(len(part), -1) for part in _arrays(path, "labels") if len(part)]
    same = len({part.shape[1] for part in parts}) == 1
    labels = np.concatenate(parts) if same else np.empty((0, 1), dtype=np.int64)
    rule = "one whole number from 0 to 9999 for each image"
    good = labels.shape[1] == 1 and len(labels) > 0 and labels.dtype.kind in "iu"
    good = good and int(labels.min()) >= 0 and int(labels.max()) < 10_000
    shown = f"{labels.shape} {labels.dtype}"
    require(good, f"labels in {path}", shown, rule, "a set with one label for each image")
    return labels[:, 0].astype(np.int64)


def read_images(path: Path, count: int) -> np.ndarray:
    """Images (N, h, w) or (N, h, w, 3), of which there must be `count`."""
    parts = [part for part in _arrays(path, "images") if len(part)]
    shapes = {part.shape[1:] for part in parts}
    images = np.concatenate(parts) if len(shapes) == 1 else np.empty(0)
    good = images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)
    rule = f"(N, h, w) or (N, h, w, 3) with N = {count}, as many as labels"
    require(good and len(images) == count, f"images in {path}", images.shape, rule, "a whole copy")
    return images


def _arrays(path: Path, kind: str) -> list[np.ndarray]:
    """The arrays of a kind, ``images`` or ``labels``."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            named = [f"{part}_{kind}" for part in _PARTS]
            names = [name for name in named if name in archive] or [kind]
            return [archive[name] for name in names]
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        reason = f"{type(error).__name__}: {error}"
        raise InvalidArgument(
            f"{kind} in {path}: received {reason!r}, but it must be an unpickled array. Try an .npz "
            "with images and labels, or MedMNIST's."
        ) from error
