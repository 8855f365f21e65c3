"""Nothing in the package can run code that a data file or a checkpoint brings along."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted(p for d in ("dpgen_core", "companion") for p in (ROOT / d).rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
CALLS = {"eval", "exec", "compile"}


def dangers(source: str) -> list[str]:
    """What in a source could execute a file's content."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(str(node.module))
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called in CALLS or called.endswith("read_pickle"):
            found.append(called)
        if called == "torch.load" and given.get("weights_only") != "True":
            found.append("torch.load without weights_only=True")
        if called in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
            found.append("np.load with allow_pickle")
    return found


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.stem)
def test_the_package_unpickles_nothing(path: Path) -> None:
    assert dangers(path.read_text()) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "exec(text)",
    ],
)
def test_a_planted_danger_is_seen(planted: str) -> None:
    assert len(dangers(planted)) == 1


def test_safe_calls_are_spared() -> None:
    assert dangers("torch.load(p, weights_only=True)\nnp.load(p)\nre.compile('a')") == []
