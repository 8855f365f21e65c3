"""Sphinx extension: a browser loads a page's pictures when they come near, and not all at once."""

from __future__ import annotations

from typing import Any

from docutils import nodes


def mark(app: Any, document: nodes.document, page: str) -> None:
    """Set docutils' option ``loading`` of every picture; an output of a notebook is one by now."""
    for image in document.findall(nodes.image):
        image.setdefault("loading", "lazy")


def setup(app: Any) -> dict[str, bool]:
    """Connect after the notebooks' outputs were chosen."""
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
