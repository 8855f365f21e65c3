"""Shared fixtures. Real-data tests ask for `real_data`."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from dpgen_core.accounting import events, pld, rdp
from dpgen_core.data.sets import ImageData, data_root, load

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Looking for garbage among a million imported objects takes seconds, and finds none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Let the libraries clean up after themselves, or some of them complain of leaks at the end."""
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def _threads() -> None:
    """One thread; `make test-portable` asks for two as well."""
    torch.set_num_threads(int(os.environ.get("DPGEN_TEST_THREADS", "1")))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trained models are kept for this run of the tests alone, and shared by its workers."""
    whole_run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        whole_run = whole_run.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(whole_run / "torch"))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test draws the same numbers whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_remembered_answers() -> None:
    """Under `make mutants` every test computes anew: an answer kept from the sound code would hide
    the change under test."""
    if "MUTANT_UNDER_TEST" in os.environ:
        for function in (events._epsilon, pld._composed, pld._one_round, rdp.cached_curve):
            function.cache_clear()


@pytest.fixture
def double() -> Iterator[None]:
    """Everything in float64: no wrong term can hide in rounding.

    Nor can Adam, which divides by a gradient's size, make a step of the rounding error of a zero.
    """
    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(kept)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The data root; skips where there is none, fails where DPGEN_REQUIRE_DATA=1 promised one."""
    root = data_root().resolve()
    wanted = ("MNIST/raw", "FashionMNIST/raw", "celeba")
    missing = [name for name in wanted if not (root / name).is_dir()]
    if missing:
        reason = f"no real data: {', '.join(missing)} not found below the data root"
        if os.environ.get("DPGEN_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return root


@pytest.fixture(scope="session")
def tiny_glyphs() -> ImageData:
    """600 drawn digits."""
    return load("glyphs", "train", num_records=600)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table of what became of each kind of folder in `delivery/test_common_folders.py`.

    From the tests' properties, which reach this process from any worker.
    """
    rows = [
        (told["folder"], told.get("right", ""), told.get("became", report.outcome))
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "folder" in (told := dict(getattr(report, "user_properties", ())))
    ]
    if not rows:
        return
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    terminalreporter.section("folders that people have, what is right, what became of them")
    for folder, right, became in sorted(rows):
        terminalreporter.write_line(f"{folder:{wide[0]}}  {right:{wide[1]}}  {became}")
