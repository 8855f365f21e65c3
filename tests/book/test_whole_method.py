"""The chapter of open lines: 60 of them, equal to the package, and not when one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
import pytest
import torch

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "whole_method.ipynb"
SMALL = {"rounds": 3, "num_shards": 20, "num_records": 200, "sampling_rate": 0.4}
LINES = 60

# A line of the page, and a mistake in its place.
FAULTS = {
    "clip bound": ("C * (1 - SLACK)", "1.01 * C"),
    "clip by image": ("wanted.norm()", "wanted.norm(dim=1, keepdim=True)"),
    "no clip": (".clamp(max=1)", ".clamp(min=1)"),
    "memory not added": ("wanted = u + memory[k, y]", "wanted = u"),
    "memory does not decay": ("decay * (wanted - kept)", "(wanted - kept)"),
    "memory keeps what was sent": ("(wanted - kept)[y == c]", "kept[y == c]"),
    "memory is one for all": ("memory[k, c] =", "memory[:, c] ="),
    "less noise": ("+ sigma * C *", "+ 0.99 * sigma * C *"),
    "noise used twice": ('"noise", t, 0', '"noise", 0, 0'),
    "coins used twice": ('"coins", t, 0', '"coins", 0, 0'),
    "all join": ("< q).nonzero()", "< 1.0).nonzero()"),
    "target of any class": ("own_mean[y] +", "own_mean.mean(0) +"),
    "target by raw codes": ("(x - mean[y]) / (deviation[y] + 1e-6)", "x"),
    "target not stretched": ("+ own_deviation[y] *", "+"),
    "target of one record": ("n[:, 0] > 1", "n[:, 0] > 0"),
    "target without correction": ("(n / (n - 1).clamp(min=1)).sqrt() *", "1.0 *"),
    "target differentiated": ("x.detach(), y, pool)", "x, y, pool)"),
    "critic without penalty": ("gap + 10 *", "gap + 0 *"),
    "critic upside down": ("fake, y).mean() -", "fake, y).mean() * -1 -"),
    "generator without noise": ('w[s + "noise.scale"] *', "0.0 *"),
    "step by the number that joined": ("q * K * C", "len(joined) * C"),
}


def cells(tag: str | None = None) -> list[Any]:
    found = [cell for cell in jupytext.read(NOTEBOOK).cells if cell.cell_type == "code"]
    return [c for c in found if tag is None or tag in c.metadata.get("tags", [])]


def page(fault: tuple[str, str] | None = None, **parameters: Any) -> dict[str, Any]:
    """The names that the page leaves behind, run without its figures."""
    space: dict[str, Any] = {"__name__": "page"}
    before = torch.get_default_dtype()
    try:
        for cell in cells():
            tags = cell.metadata.get("tags", [])
            source = cell.source
            if "algorithm" in tags and fault is not None:
                source = source.replace(*fault)
            if {"parameters", "setup", "algorithm", "compare"} & set(tags):
                exec(compile(source, "page", "exec"), space)
            if "parameters" in tags:
                space |= SMALL | parameters
    finally:
        torch.set_default_dtype(before)
    return space


def test_the_algorithm_has_so_many_lines() -> None:
    source = "\n".join(cell.source for cell in cells("algorithm"))
    lines = [line.strip() for line in source.splitlines()]
    code = [line for line in lines if line and not line.startswith("#")]
    assert len(code) <= LINES
    assert "dpgen_core" not in source and "package" not in source  # nothing hidden in a helper


def test_the_page_agrees_with_the_package() -> None:
    ours = page()
    assert len(ours["releases"]) == SMALL["rounds"]
    assert ours["agreement"]["largest difference"].max() < 1e-6
    assert ours["weights"] < 1e-6


@pytest.mark.parametrize(
    "parameters",
    [
        {"feedback_decay": 0.0},
        {"reconstruction_weight": 0.0},
        {"adversarial_weight": 0.0, "max_grad_norm": 0.3},
        {"critic_steps": 2, "seed": 1},
        {"max_grad_norm": 1000.0},  # nothing is clipped
    ],
    ids=str,
)
def test_it_agrees_with_other_parameters(parameters: dict[str, Any]) -> None:
    page(**parameters)  # the page itself compares, and fails if they differ


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_line_shows(name: str) -> None:
    right, wrong = FAULTS[name]
    assert sum(cell.source.count(right) for cell in cells("algorithm")) == 1
    with pytest.raises(AssertionError, match="differ"):
        page((right, wrong), rounds=2)  # the second one meets what the first left in the memory


def test_the_budget_ends_training() -> None:
    ours = page(max_epsilon=3.0, rounds=6)
    assert 0 < len(ours["releases"]) < 6
    assert ours["spent"] <= 3.0
    one_more = ours["epsilon_spent"](rounds=len(ours["releases"]) + 1, **ours["setting"])
    assert one_more > 3.0
