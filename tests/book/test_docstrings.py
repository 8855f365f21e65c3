"""The docstrings of the API page are valid markup: `make book` would stop at a warning."""

import importlib
import inspect
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from sphinx.ext.napoleon import Config, GoogleDocstring

from companion.studies.committed import project_root

BOOK = project_root(Path(__file__).parent) / "book"
PAGE = BOOK / "api.md"
NAMES = re.findall(r"^\.\. auto(?:module|function|class):: (\S+)", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def problems():
    """What docutils says of a docstring as the book's extensions hand it over."""
    extension = runpy.run_path(str(BOOK / "_ext" / "plain_docstrings.py"))

    def said(docstring: str) -> list[str]:
        lines = inspect.cleandoc(docstring).splitlines()
        extension["protect"](None, "function", "", None, None, lines)
        shown = GoogleDocstring(lines, Config(napoleon_use_rtype=False)).lines()
        extension["restore"](None, "function", "", None, None, shown)
        settings = {"report_level": 5, "halt_level": 5}  # nothing on standard error
        tree = publish_doctree("\n".join(shown), settings_overrides=settings)
        return [
            message.astext()
            for message in tree.findall(lambda node: node.tagname == "system_message")
            if message["level"] >= 2 and "text role" not in message.astext()
        ]

    return said


def documented(name: str) -> Iterator[tuple[str, object]]:
    """What the page shows for a name: the object itself and its public members."""
    try:
        found: object = importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
        found = getattr(importlib.import_module(module), last)
    yield name, found
    home = name if inspect.ismodule(found) else None
    for member, value in vars(found).items() if home or inspect.isclass(found) else ():
        ours = inspect.isroutine(value) or inspect.isclass(value)
        if member.startswith("_") or not ours or getattr(value, "__module__", home) != home:
            continue
        yield f"{name}.{member}", value
        if inspect.isclass(value):
            for method, function in vars(value).items():
                if not method.startswith("_"):
                    yield f"{name}.{member}.{method}", function


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_are_valid_markup(name, problems):
    found = {
        place: wrong
        for place, value in documented(name)
        if (text := inspect.getdoc(value)) and (wrong := problems(text))
    }
    assert found == {}


def test_an_asterisk_alone_is_a_problem(problems):
    assert problems("Images (n, *shape), and labels.")
    assert not problems("Images ``(n, *shape)``, and labels.\n\nArgs:\n    one: |v| and a: b.\n")


def test_every_entry_of_the_page_is_looked_at():
    assert len(NAMES) > 40
    assert any(place.endswith("Source.load") for place, _ in documented("dpgen_core.data.sources"))
