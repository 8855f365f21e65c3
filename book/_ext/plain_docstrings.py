"""Sphinx extension: docstrings are plain text to their writers, so bars and colons stay as typed."""

from __future__ import annotations

import re
from typing import Any

LITERAL = re.compile(r"(``.*?``)")
LETTER = re.compile(r"^(\s+\w+: )([A-Z]\.)$")  # "bound: C." would be a list
COLON = "\ue000"  # stands for a colon while napoleon reads the lines


def protect(
    app: Any, what: str, name: str, subject: object, options: Any, lines: list[str]
) -> None:
    """Before napoleon: |v| is no substitution, and ``0: off`` of an attribute names no type."""
    block: int | None = None  # indentation of the line that opened a literal block
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and block is not None and indent <= block:
            block = None
        if block is None:
            parts = LITERAL.split(line)  # literals at odd places
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            line = LETTER.sub(r"\1\\\2", "".join(parts))
            if line.rstrip().endswith("::"):
                block = indent
        lines[number] = line.replace(": ", f"{COLON} ") if what == "attribute" else line


def restore(
    app: Any, what: str, name: str, subject: object, options: Any, lines: list[str]
) -> None:
    """After napoleon."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app: Any) -> dict[str, bool]:
    """Connect on both sides of napoleon, which reads the same event at priority 500."""
    app.connect("autodoc-process-docstring", protect, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)
    return {"parallel_read_safe": True}
