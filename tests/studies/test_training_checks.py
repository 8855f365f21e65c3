"""Every planted fault is caught by its check, and the unchanged code passes all checks."""

from __future__ import annotations

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


@pytest.mark.parametrize("fault, check", CATCHES.items(), ids=CATCHES)
def test_a_planted_fault_is_caught(fault: str, check: str, data: ImageData) -> None:
    with FAULTS[fault]():
        finding = CHECKS[check](CONFIG, data)
    assert not finding.passed, finding
    assert CHECKS[check](CONFIG, data).passed  # the fault is gone with its block
