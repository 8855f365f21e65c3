"""The forms of the owners' targets, on cases small enough to know the answer."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from dpgen_core.losses import class_statistics, reconstruction_loss
from dpgen_core.reconstruction import FORMS, PLANS, targets_of

UNIT = torch.ones(2)
RECORDS = torch.tensor([[10.0, 0.0], [14.0, 0.0], [0.0, 0.0]])
RECORD_LABELS = torch.tensor([0, 0, 1])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def distances() -> tuple[torch.Tensor, torch.Tensor]:
    """Forty images and sixty records of four classes, and of a fifth that has no record."""
    images = torch.randn(40, 5, generator=generator())
    records = torch.randn(60, 5, generator=generator())
    labels, others = torch.arange(40) % 5, torch.arange(60) % 4
    return torch.cdist(images, records), labels[:, None] == others[None, :]


@pytest.mark.parametrize("form", [*PLANS, "fine-modes"])
def test_targets_come_from_the_own_class_and_spread_out(form: str) -> None:
    # a young generator: its images of class 0 hardly differ and are far from the records
    codes, labels = torch.tensor([[0.01, 0.0], [-0.01, 0.0], [3.0, 3.0]]), torch.tensor([0, 0, 1])
    public = class_statistics(codes, labels, 3)
    targets, weights = targets_of(form, codes, labels, public, RECORDS, RECORD_LABELS, UNIT)
    torch.testing.assert_close(targets, RECORDS[[1, 0, 2]], atol=0.1, rtol=0)
    assert weights.shape == codes.shape and float(weights.min()) > 0


@pytest.mark.parametrize("form", FORMS)
def test_missing_class_gives_no_gradient(form: str) -> None:
    records, record_labels = torch.ones(2, 2), torch.tensor([0, 0])
    codes, labels = torch.zeros(2, 2), torch.tensor([1, 0])
    public = class_statistics(codes, labels, 2)
    targets, weights = targets_of(form, codes, labels, public, records, record_labels, UNIT)
    assert weights[0].tolist() == [0.0, 0.0] and float(weights[1].sum()) > 0
    assert float(reconstruction_loss(codes[:1], targets[:1], weights[:1])) == 0.0
    assert targets.isfinite().all()


@pytest.mark.parametrize("form", PLANS)
def test_a_plan_is_a_mean_over_records_of_the_class(form: str) -> None:
    distance, same = distances()
    plan, weight = PLANS[form](distance, same)
    torch.testing.assert_close(plan.sum(1), torch.ones(40))
    there = same.any(1)
    assert float((plan * ~same)[there].abs().max()) == 0
    assert torch.equal(weight > 0, there) and float(weight.max()) <= 1


def test_no_record_is_assigned_twice_and_the_whole_is_as_near_as_can_be() -> None:
    distance, same = distances()
    plan = PLANS["assigned"](distance, same)[0]
    there = same.any(1)
    assert (
        float(plan[there].sum(0).max())
        == 1
        < float(PLANS["matched"](distance, same)[0].sum(0).max())
    )
    cost = torch.where(same, distance.square(), 1e6)[there].numpy()
    best = cost[linear_sum_assignment(cost)].sum()
    assert float((plan * distance.square())[there].sum()) == pytest.approx(best, rel=1e-5)


def test_records_are_shared_evenly_where_there_are_fewer_than_images() -> None:
    distance = torch.rand(7, 3, generator=generator())
    plan = PLANS["assigned"](distance, torch.ones(7, 3, dtype=torch.bool))[0]
    assert sorted(plan.sum(0).tolist()) in ([2, 2, 3], [1, 3, 3])  # three at most


def test_a_local_mean_lies_between_records_and_nearer_ones_weigh_more() -> None:
    distance = torch.tensor([[1.0, 1.0, 4.0], [1.0, 1.4, 9.0]])
    plan = PLANS["local-mean"](distance, torch.ones(2, 3, dtype=torch.bool))[0]
    assert plan[0, 0] == plan[0, 1] > 0.49
    assert plan[1, 0] > plan[1, 1] > 0.05 > plan[1, 2]


def test_far_records_pull_less() -> None:
    distance = torch.tensor([[1.0], [2.0], [3.0]])
    weight = PLANS["near"](distance, torch.ones(3, 1, dtype=torch.bool))[1]
    assert 0.7 < weight[0] < 1 and weight[0] > weight[1] > weight[2] > 0


def test_fine_modes_alone_are_pulled() -> None:
    codes, labels = torch.tensor([[0.01, 0.0], [-0.01, 0.0]]), torch.tensor([0, 0])
    public, scale = class_statistics(codes, labels, 2), torch.tensor([1.0, 0.3])
    given = codes, labels, public, RECORDS, RECORD_LABELS, scale
    targets, weights = targets_of("fine-modes", *given)
    assert weights.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert torch.equal(targets, targets_of("matched", *given)[0])


def moments_of_one_class(images: int, records: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets of narrow images, and the records: each mode of these has a spread of its own."""
    noise = generator()
    codes = 7.0 + 0.1 * torch.randn(images, 3, generator=noise)
    own = torch.tensor([1.0, 2.0, 3.0]) * torch.randn(records, 3, generator=noise)
    labels, others = (torch.zeros(n, dtype=torch.long) for n in (images, records))
    given = codes, labels, class_statistics(codes, labels, 1), own, others, torch.ones(3)
    return targets_of("moments", *given)[0], own


def test_moments_are_those_of_the_records_mode_by_mode() -> None:
    targets, own = moments_of_one_class(40, 30)
    torch.testing.assert_close(targets.mean(0), own.mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(targets.std(0, correction=0), own.std(0), atol=1e-4, rtol=1e-4)


def test_moments_keep_their_spread_where_many_owners_are_averaged_and_records_do_not() -> None:
    """Each owner has six records: the mean of what they answer is what an image is pulled to."""
    noise, answers = generator(), {form: [] for form in ("matched", "moments")}
    codes, labels = torch.randn(50, 40, generator=noise), torch.zeros(50, dtype=torch.long)
    public, others = class_statistics(codes, labels, 1), torch.zeros(6, dtype=torch.long)
    for _ in range(200):
        records = torch.randn(6, 40, generator=noise)
        for form, targets in answers.items():
            given = codes, labels, public, records, others, torch.ones(40)
            targets.append(targets_of(form, *given)[0])
    spread = {form: float(torch.stack(t).mean(0).std(0).mean()) for form, t in answers.items()}
    assert spread["matched"] < 0.4 < 0.85 < spread["moments"] < 1.05


def test_moments_of_a_single_record_pull_nothing() -> None:
    codes, labels = torch.randn(4, 3, generator=generator()), torch.tensor([0, 0, 1, 1])
    public, others = class_statistics(codes, labels, 2), torch.tensor([0, 0, 1])
    given = codes, labels, public, torch.rand(3, 3, generator=generator()), others, torch.ones(3)
    targets, weights = targets_of("moments", *given)
    assert weights.tolist() == [[1.0] * 3] * 2 + [[0.0] * 3] * 2 and targets.isfinite().all()
