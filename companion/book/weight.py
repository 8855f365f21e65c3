"""Smaller pictures in executed notebooks, so that a page of the book stays light.

>>> import io, base64
>>> buffer = io.BytesIO()
>>> Image.new("RGB", (400, 300), "white").save(buffer, format="PNG")
>>> len(lightened(buffer.getvalue())) < len(buffer.getvalue())
True
"""

from __future__ import annotations

import base64
import io
from itertools import combinations
from typing import Any

import numpy as np
from PIL import Image, ImageChops

Notebook = Any  # nbformat has no types
MAX_WIDTH = 1600  # pixels; twice the width of the book's text
_COLORS = 64  # of a drawing: lines, labels and their smoothed edges
_GRAYS = 16  # of a picture without color
_GRAY_WITHIN = 16  # how far apart the channels of a gray may be, of 255: palettes are inexact


def lighten(notebook: Notebook) -> Notebook:
    """The notebook with the PNG pictures of its outputs `lightened`, changed in place."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                small = lightened(base64.b64decode(data["image/png"]))
                data["image/png"] = base64.b64encode(small).decode()
    return notebook


def lightened(png: bytes) -> bytes:
    """A PNG that looks the same with a palette, at most `MAX_WIDTH` wide; else the same bytes.

    Transparency is laid on white. What would not become smaller is returned unchanged.
    """
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(ground, picture).convert("RGB")
    if picture.width > MAX_WIDTH:
        height = round(picture.height * MAX_WIDTH / picture.width)
        picture = picture.resize((MAX_WIDTH, height), Image.Resampling.LANCZOS)
    gray = is_gray(picture, _GRAY_WITHIN)
    if gray:
        picture = picture.convert("L").convert("RGB")
    buffer = io.BytesIO()
    dither = Image.Dither.NONE
    # Colors far from the others are kept, however few pixels have them: the marks of a curve.
    method = Image.Quantize.MEDIANCUT if gray else Image.Quantize.MAXCOVERAGE
    small = picture.quantize(_GRAYS if gray else _COLORS, method=method, dither=dither)
    small.save(buffer, format="PNG", optimize=True)
    return min(png, buffer.getvalue(), key=len)


def is_gray(picture: Image.Image, within: int) -> bool:
    """Whether the channels of no pixel of an RGB picture are more than `within` of 255 apart."""
    apart = (ImageChops.difference(*pair) for pair in combinations(picture.split(), 2))
    return all(int(np.asarray(difference).max()) <= within for difference in apart)
