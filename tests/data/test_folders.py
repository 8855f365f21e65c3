"""One's own folder: neighbors under any name differ in one slot, once their orders are coupled."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import folders, sets
from dpgen_core.data.sets import ImageData
from dpgen_core.training.owner_trainer import OwnerTrainer

KEY = "a secret key"
pytestmark = pytest.mark.xdist_group("folders")  # one pair of folders serves several tests


def write(root: Path, count: int, *, beside: Path | None = None) -> Path:
    """`count` gray files in two classes, or those `beside` with another in place of the third.

    Its name is the last of all, and its class is another: by rank everybody behind the third moves.
    """
    for number in range(count):
        name, label = f"{number:06d}.pgm", "ab"[number % 2]
        shade = number % 200
        replaced = beside and number == 2
        if replaced:
            name, label, shade = "zzz.pgm", "b", 255
        (root / label).mkdir(parents=True, exist_ok=True)
        if beside and not replaced:  # a second name takes half the time of a second file
            os.link(beside / label / name, root / label / name)
            continue
        pixels = np.full((4, 4), shade, dtype=np.uint8)
        pixels.reshape(-1)[:3] = np.frombuffer(number.to_bytes(3, "big"), dtype=np.uint8)
        (root / label / name).write_bytes(b"P5 4 4 255 " + pixels.tobytes())
    return root


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[Path, Path]]:
    """A folder of so many files, and its neighbor."""

    @cache
    def of(count: int) -> tuple[Path, Path]:
        root = tmp_path_factory.mktemp(f"files{count}")
        one = write(root / "one", count)
        return one, write(root / "other", count, beside=one)

    return of


# These files never change, and the tests are about their order: each is read once.
read_once = cache(folders.load_pool)


def coupled(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """In the second folder the replaced file stands where the third stood, all others where they did.

    By name it is the last, so its row is moved from the end to the third place; a uniform order of
    one folder is then a uniform order of the other.
    """
    honest = folders.secret_order

    def moved(size: int, key: str) -> Tensor:
        order = honest(size, key)
        by_name = torch.cat([torch.tensor([0, 1, size - 1]), torch.arange(2, size - 1)])
        return by_name[order]

    monkeypatch.setattr(folders, "secret_order", moved)


def by_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order as it was: that of the names, whatever the key."""
    monkeypatch.setattr(folders, "secret_order", lambda size, key: torch.arange(size))


Inputs = Callable[[ExperimentConfig, ImageData], Tensor]


def prior_inputs(config: ExperimentConfig, data: ImageData) -> Tensor:
    """What the prior sums, a row per slot."""
    return torch.cat([data.images.flatten(1), data.labels[:, None].float()], dim=1)


def owner_inputs(config: ExperimentConfig, data: ImageData) -> Tensor:
    """What the owners hold, a row per slot of each."""
    trainer = OwnerTrainer(config, data, KEY, device=torch.device("cpu"))
    held = trainer.ensemble
    return torch.cat([held.codes.flatten(0, 1), held.labels.flatten()[:, None].float()], dim=1)


@pytest.mark.parametrize("count", [1200, 12_000])
@pytest.mark.parametrize(
    ("method", "inputs"), [("gaussian", prior_inputs), ("efsgd", owner_inputs)]
)
def test_a_file_under_another_name_and_class_moves_one_slot(
    count: int,
    method: str,
    inputs: Inputs,
    pair: Callable[[int], tuple[Path, Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = pair(count)
    monkeypatch.setattr(folders, "load_pool", read_once)
    size = sets.train_size("folder_gray", root=one)
    config = make_config(
        dataset="folder_gray", method=method, profile="smoke", root=one, num_records=size
    )

    def of(root: Path) -> tuple[Tensor, Tensor]:
        pools = [sets.load("folder_gray", s, root=root, key=KEY) for s in ("train", "test")]
        return inputs(config, pools[0]), pools[1].images.flatten(1)

    before = of(one)
    with monkeypatch.context() as patch:
        coupled(patch, count)
        after = of(other)
    changed = sum(int((a != b).any(1).sum()) for a, b in zip(before, after, strict=True))
    assert changed == 1
    with monkeypatch.context() as patch:  # and the test would have seen the order as it was
        by_rank(patch)
        before, after = of(one), of(other)
    changed = sum(int((a != b).any(1).sum()) for a, b in zip(before, after, strict=True))
    assert changed > count / 4


def test_the_order_is_uniform_over_keys() -> None:
    seen = Counter(tuple(folders.secret_order(3, f"key {n}").tolist()) for n in range(6000))
    assert len(seen) == 6
    assert max(abs(count - 1000) for count in seen.values()) < 150  # five standard deviations


def test_the_order_is_a_permutation_that_the_key_decides() -> None:
    one, same, other = (folders.secret_order(500, key) for key in (KEY, KEY, "another"))
    assert one.sort().values.tolist() == list(range(500))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_equal_places_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tied(folders.HiddenStream):
        def __init__(self, key: str, *path: int | str) -> None:
            super().__init__(key, *path)
            self.first = path[-1] == 0

        def uniform(self, count: int) -> Tensor:
            places = super().uniform(count)
            return torch.zeros_like(places) if self.first else places

    monkeypatch.setattr(folders, "HiddenStream", Tied)
    order = folders.secret_order(20, KEY)
    assert order.tolist() == folders.HiddenStream(KEY, "order", 1).uniform(20).argsort().tolist()
