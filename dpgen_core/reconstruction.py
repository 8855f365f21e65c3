"""What the reconstruction loss pulls a public image to: forms of the owners' targets, by name.

Every form is a *plan* over an owner's records of the image's class: the target is the plan's mean of
their codes, and a weight for each mode says how strongly the image is pulled there. The latent is
public and the target is private: a private latent would leak through the generator's Jacobian. Images
and records are compared in deviations from their side's class mean, in units of its class spread. By
raw codes, all images of an untrained generator match the same record, and diversity never grows. All
forms are ours.

* ``matched``: the record that is nearest so.
* ``assigned``: no two images have the same record while another of their class is free, and the sum
  of squared distances is the least there can be (linear assignment).
* ``local-mean``: the mean of the records around the image, the nearer ones weighing more.
* ``fine-modes``: ``matched``, but the finer half of the modes alone is pulled.
* ``near``: ``matched``, with less weight the further the record is.

>>> distance = torch.tensor([[1.0, 2.0], [1.5, 4.0]])  # both images are nearest to the first record
>>> same = torch.ones(2, 2, dtype=torch.bool)
>>> [FORMS[name].plan(distance, same)[0].argmax(1).tolist() for name in ("matched", "assigned")]
[[0, 0], [1, 0]]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dpgen_core.losses import class_statistics

# Distances (B, n) and whether the classes agree (B, n) -> plan (B, n), whose rows sum to 1, and how
# strongly each image is pulled (B,): 0 without a record of its class.
Plan = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

_AROUND = 0.5  # width of the local mean, in distances to the nearest record
_FAR = 1e4  # stands for infinity where infinities would be subtracted


def targets_of(
    form: str,
    codes: Tensor,
    labels: Tensor,
    public: tuple[Tensor, Tensor],
    records: Tensor,
    record_labels: Tensor,
    scale: Tensor,
) -> tuple[Tensor, Tensor]:
    """One owner's target of each image, and how strongly it is pulled there.

    Args:
        form: a key of `FORMS`.
        codes: of the generated images (B, d).
        labels: public, of these (B,).
        public: `losses.class_statistics` of generated codes.
        records: codes of the owner's records (n, d).
        record_labels: of these (n,).
        scale: of each mode (d,); those whose scale is small weigh more in a comparison.

    Returns:
        Targets (B, d), and weights of `losses.reconstruction_loss` (B, d).
    """
    means, spread = class_statistics(records, record_labels, len(public[0]))
    ours = (records - means[record_labels]) / (spread[record_labels, None] + 1e-6)  # (n, d)
    theirs = (codes - public[0][labels]) / (public[1][labels, None] + 1e-6)  # (B, d)
    distance = torch.cdist(theirs / scale, ours / scale)  # (B, n)
    chosen = FORMS[form]
    plan, weight = chosen.plan(distance, labels[:, None] == record_labels[None, :])
    pulled = scale <= scale.median() if chosen.fine_alone else torch.ones_like(scale)
    return plan @ records, weight[:, None] * pulled


def _matched(distance: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    nearest = torch.where(same, distance, torch.inf).argmin(1)  # (B,)
    return _only(nearest, distance), same.any(1).to(distance)


def _assigned(distance: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    from scipy.optimize import linear_sum_assignment  # slow to import

    cost, known = distance.detach().cpu().double().square().numpy(), same.cpu().numpy()
    chosen = np.zeros(len(cost), dtype=np.int64)
    first = np.where(known.any(1), known.argmax(1), -1)  # of the class's records; -1 without any
    for place in np.unique(first[first >= 0]):  # a class
        images, records = (first == place).nonzero()[0], known[first == place][0].nonzero()[0]
        places = np.tile(records, -(-len(images) // len(records)))  # as often as needed
        one, other = linear_sum_assignment(cost[np.ix_(images, places)])
        chosen[images[one]] = places[other]
    return _only(torch.from_numpy(chosen).to(distance.device), distance), same.any(1).to(distance)


def _local_mean(distance: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    least = torch.where(same, distance, _FAR).amin(1, keepdim=True)
    beyond = (distance.square() - least.square()) / (_AROUND * least).square().clamp(min=1e-12)
    plan = torch.where(same, -beyond / 2, -_FAR).softmax(1)
    return plan, same.any(1).to(distance)


def _near(distance: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    plan, there = _matched(distance, same)
    least = torch.where(same, distance, _FAR).amin(1)  # (B,)
    usual = (there * least).sum() / there.sum().clamp(min=1)
    return plan, there * (-(least / usual.clamp(min=1e-6)).square()).exp()


def _only(chosen: Tensor, like: Tensor) -> Tensor:
    """The plan (B, n) that takes one record for each image."""
    every = torch.arange(like.shape[1], device=like.device)
    return (chosen[:, None] == every).to(like)


@dataclass(frozen=True)
class Form:
    """Where images are pulled to, and in which modes."""

    plan: Plan
    fine_alone: bool = False  #: the half of the modes whose scale is least; if not, all


FORMS: Mapping[str, Form] = {
    "matched": Form(_matched),
    "assigned": Form(_assigned),
    "local-mean": Form(_local_mean),
    "fine-modes": Form(_matched, fine_alone=True),
    "near": Form(_near),
}
