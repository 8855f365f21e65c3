"""The book's schematics in notebooks: SVG drawn for the width of a phone, in the theme's colors.

A Markdown page includes ``book/_static/NAME.svg`` by a directive that Jupyter does not know, so a
notebook shows the same file as the output of a cell. It stands in the page itself and not in an
``img``, where it could not follow the theme.
"""

from __future__ import annotations

import re

from IPython.display import HTML

from companion.studies.committed import project_root
from dpgen_core.checks import check_choice


def diagram(name: str) -> HTML:
    """The schematic ``book/_static/NAME.svg``, for the last line of a cell.

    Args:
        name: of the file, without its end.

    Raises:
        InvalidArgument: there is no such schematic.
    """
    files = {path.stem: path for path in (project_root() / "book" / "_static").glob("*.svg")}
    check_choice("name", name, sorted(files))
    svg = files[name].read_text()
    title = re.search("<title[^>]*>(.+?)</title>", svg)
    label = title[1] if title else name
    return HTML(
        f'<div class="dpgen-diagram" role="group" tabindex="0" aria-label="{label}, diagram">\n'
        f"{svg}</div>"
    )
