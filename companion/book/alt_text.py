"""Alternative text of pictures that is made from the same figures as the picture.

A page's renderer takes it from the metadata of the *cell*, Jupyter puts it with the *output*:
`keep_alt` copies the one to the other.
"""

from __future__ import annotations

from typing import Any

from IPython.display import Image
from matplotlib.figure import Figure

from dpgen_core.checks import require
from dpgen_core.records.sheets import png_bytes

Notebook = Any  # nbformat has no types
_COLORS = 256  # of a chart, with the shades of smoothed lines and letters


def shown(figure: Figure, alt: str, *, colors: int = _COLORS) -> Image:
    """A figure for a notebook's output, as PNG.

    Args:
        figure: from the modules of this package.
        alt: one or two sentences that say what is seen.
        colors: of the palette.

    Raises:
        InvalidArgument: `alt` is no sentence.
    """
    require(" " in alt.strip(), "alt", alt, "a sentence", "what a reader sees in the figure")
    return Image(png_bytes(figure, colors=colors), format="png", alt=alt)


def keep_alt(notebook: Notebook) -> Notebook:
    """The executed notebook with each picture's text copied to its cell, changed in place."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt:
                cell.metadata.setdefault("mystnb", {}).setdefault("image", {})["alt"] = alt
    return notebook
