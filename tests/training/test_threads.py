"""Work side by side: same results, torch's setting as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dpgen_core.training.threads import side_by_side, using_threads


@pytest.fixture
def two_threads() -> Iterator[None]:
    with using_threads(2):
        yield


def test_results_come_in_order_and_nothing_is_split_further(two_threads: None) -> None:
    found = side_by_side(lambda part: (part, torch.get_num_threads()), range(5))
    assert found == [(part, 1) for part in range(5)]
    assert torch.get_num_threads() == 2


def test_a_failure_surfaces_and_the_setting_comes_back(two_threads: None) -> None:
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda part: 1 // part, [1, 0])
    assert torch.get_num_threads() == 2


def test_nothing_to_do_is_nothing() -> None:
    assert side_by_side(lambda part: part, []) == []
