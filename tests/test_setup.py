"""The set-up files agree with each other, and hold nothing that ties them to one machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

import dpgen_core
from companion.book.build import EXPERIMENT_PAGES

ROOT = Path(__file__).parents[1]
# Assembled, so that this file does not hold what it forbids.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "download.py" + "torch.org",
    "conda.ana" + "conda.org",
    "registry.npm" + "js.org",
]
HOME_FOLDERS = ("home", "root", "Users", "work", "workspace", "tmp", "opt", "mnt", "private")
MACHINE_PATH = re.compile(rf"(?<![\w.~/$}})-])/(?:{'|'.join(HOME_FOLDERS)})/[\w.-]+")


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def required() -> list[str]:
    project = pyproject()["project"]
    extras = project["optional-dependencies"].values()
    return sorted([*project["dependencies"], *(line for extra in extras for line in extra)])


def committed_texts() -> list[tuple[str, str]]:
    """Name and text of every file that is, or will be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not in a git repository")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    kept = [name for name in names if Path(name).suffix not in {".png", ".npz"}]
    return [(name, (ROOT / name).read_text(errors="replace")) for name in kept]


def test_conda_environment_agrees_with_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert sorted(line for line in pip if not line.startswith("-")) == required()
    assert f"python{pyproject()['project']['requires-python']}" in conda


def test_no_committed_file_is_large() -> None:
    """Every clone carries it for ever: an archive of the whole project was nearly among them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    large = [str(path) for path in paths if path.is_file() and path.stat().st_size > 2_000_000]
    assert not large


@pytest.mark.xdist_group("kept together")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
def test_tests_that_share_a_costly_fixture_stay_together(request: pytest.FixtureRequest) -> None:
    """The scheduler groups by the end of a test's id; pytest 9.2 no longer lets it add one."""
    assert request.node.nodeid.endswith("@kept together")


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_lock_satisfies_pyproject(python: str, platform: str) -> None:
    world = {"python_version": python, "python_full_version": f"{python}.0"}
    world |= {"sys_platform": platform, "platform_machine": "x86_64"}
    pinned = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(world):
            (only,) = pin.specifier
            assert only.operator == "==" and pin.url is None, line
            assert canonicalize_name(pin.name) not in pinned, f"{line} is pinned twice"
            pinned[canonicalize_name(pin.name)] = only.version
    for line in required():
        wanted = Requirement(line)
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"{line} is not in requirements.lock: run `make lock`"
        assert wanted.specifier.contains(pinned[name]), f"{line} against {pinned[name]}"


def test_lock_holds_names_and_versions_only() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.findall(r"://|--|@|#", text)


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = []
    for name, text in committed_texts():
        found += [f"{name}: {host}" for host in REGISTRY_HOSTS if host in text]
        found += [f"{name}: {path}" for path in MACHINE_PATH.findall(text)]
    assert not found


@pytest.mark.parametrize("planted", ["/ho" + "me/ann/data", '"/ro' + 'ot/x"', "=/wo" + "rk/y"])
def test_the_path_check_bites(planted: str) -> None:
    assert MACHINE_PATH.search(planted)


@pytest.mark.parametrize("harmless", ["../shared/data", "a/work/b", "$HOME/work/x", "1/tmp"])
def test_the_path_check_spares_relative_paths(harmless: str) -> None:
    assert not MACHINE_PATH.search(harmless)


def test_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  make ([\w-]+) +\S", shown, re.MULTILINE)
    assert listed == phony.split()
    assert {"book", "test", "experiment", "clean", "help"} <= set(listed)


def test_an_old_python_is_refused_with_a_way_out(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    command = ["make", "test", f"PYTHON={old}"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "Python 3.11 or newer is needed" in ran.stderr and "PYTHON=python3.12" in ran.stderr
    assert "Python 3.9.2" in ran.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_wheel_holds_the_core_and_the_companion_and_nothing_else() -> None:
    packages = find_packages(ROOT, **pyproject()["tool"]["setuptools"]["packages"]["find"])
    modules = [path for name in ("dpgen_core", "companion") for path in (ROOT / name).rglob("*.py")]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in modules}
    assert set(packages) == folders
    # git must not ignore what the wheel needs; `data/` once hid `dpgen_core/data/__init__.py`
    for package in packages:
        path = f"{package.replace('.', '/')}/__init__.py"
        command = ["git", "check-ignore", "--quiet", "--no-index", path]
        assert (ROOT / path).exists()
        assert subprocess.run(command, cwd=ROOT).returncode, f"git ignores {path}"


def test_accounting_alone_does_not_import_pytorch() -> None:
    code = "import sys; from dpgen_core import epsilon_spent; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_supported_python_is_tested() -> None:
    classifiers = pyproject()["project"]["classifiers"]
    versions = [line.rpartition(" ")[2] for line in classifiers if ":: 3." in line]
    workflow = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == versions


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == dpgen_core.__version__
    assert citation["license"] == pyproject()["project"]["license"]


def test_the_book_pins_what_reads_its_configuration() -> None:
    """jupyter-book 2 ignores _config.yml, and would build another book without a word."""
    (line,) = [line for line in required() if line.startswith("jupyter-book")]
    assert not Requirement(line).specifier.contains("2.0")


def test_every_page_of_the_book_has_a_source() -> None:
    listed = yaml.safe_load((ROOT / "_toc.yml").read_text())
    parts = [part["chapters"] for part in listed["parts"]]
    pages = [listed["root"], *(chapter["file"] for chapters in parts for chapter in chapters)]
    made = {name for name, _, _ in EXPERIMENT_PAGES}
    for page in pages:
        source = page.replace("book/_executed/", "notebooks/")
        ends = (".md", ".ipynb")
        assert Path(page).name in made or any((ROOT / f"{source}{end}").exists() for end in ends)
    written = {path.with_suffix("") for path in (ROOT / "book").glob("*.md")}
    assert written <= {ROOT / page for page in pages}, "a page that no reader finds"
