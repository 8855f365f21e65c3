"""Every planted fault is caught by its check, and the unchanged code passes all checks."""

from __future__ import annotations

import sys
from inspect import ismodule

import pytest

from companion.studies.planted_faults import FAULTS
from companion.studies.training_checks import CHECKS, audit_config
from dpgen_core.data.sets import ImageData, load

CONFIG = audit_config(generated_batch=10)  # half the images of the audit itself
CATCHES = {
    "noise halved": "canaries",
    "clip removed": "canaries",
    "memory shared between owners": "twins",
    "draws of a fixed size": "cohort",
    "labels and latents from private data": "twins",
    "release repeated after a resume": "ledger",
}
MODULES = [m for name, m in sys.modules.items() if name.partition(".")[0] == "dpgen_core"]


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load("glyphs", "train", num_records=CONFIG.privacy.num_records)


def test_every_fault_has_its_check() -> None:
    assert set(CATCHES) == set(FAULTS) - {"none"}
    assert set(CATCHES.values()) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_no_alarm_without_a_fault(check: str, data: ImageData) -> None:
    finding = CHECKS[check](CONFIG, data)
    assert finding.passed, finding


def changed(before: dict[str, object]) -> list[str]:
    """Names in the package's modules and in their classes that stand for something else now."""
    now = code()
    differing = (name for name in before.keys() | now if before.get(name) is not now.get(name))
    # Python adds this name itself when an instance of the class is first copied.
    return [name for name in differing if not name.endswith(".__slotnames__")]


def code() -> dict[str, object]:
    """What every name in the package's modules and in their classes stands for."""
    every = {f"{m.__name__}.{n}": v for m in MODULES for n, v in vars(m).items() if not ismodule(v)}
    kinds = {name: kind for name, kind in every.items() if isinstance(kind, type)}
    # Other packages keep state in their classes, as tqdm does its lock.
    kinds = {n: kind for n, kind in kinds.items() if kind.__module__.startswith("dpgen_core")}
    return every | {f"{k}.{n}": v for k, kind in kinds.items() for n, v in vars(kind).items()}


@pytest.mark.parametrize("fault, check", CATCHES.items(), ids=CATCHES)
def test_a_planted_fault_is_caught(fault: str, check: str, data: ImageData) -> None:
    honest = code()
    with FAULTS[fault]():
        assert changed(honest)
        finding = CHECKS[check](CONFIG, data)
    assert not finding.passed, finding
    assert not changed(honest)  # the fault is gone with its block
