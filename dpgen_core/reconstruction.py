"""What the reconstruction loss pulls a public image to: forms of the owners' targets, by name.

A form gives a target for each public image from an owner's records of its class, and a weight for each
mode, which says how strongly the image is pulled there. The latent is public and the target is
private: a private latent would leak through the generator's Jacobian. All forms are ours.

Most are a *plan* over the records, and the target is the plan's mean of their codes. Images and records
are compared in deviations from their side's class mean, in units of its class spread. By raw codes, all
images of an untrained generator match the same record, and diversity never grows.

* ``matched``: the record that is nearest so.
* ``assigned``: no two images have the same record while another of their class is free, and the sum
  of squared distances is the least there can be (linear assignment).
* ``local-mean``: the mean of the records around the image, the nearer ones weighing more.
* ``fine-modes``: ``matched``, but the finer half of the modes alone is pulled.
* ``near``: ``matched``, with less weight the further the record is.
* ``moments``: no record, but the image's own deviation from the public class mean, mode by mode in
  units of the public deviation, put to the owner's class mean and deviation. Means and deviations
  survive the average over a cohort, which records do not: of many owners' nearest ones it leaves little
  more than the class mean.

>>> distance = torch.tensor([[1.0, 2.0], [1.5, 4.0]])  # both images are nearest to the first record
>>> same = torch.ones(2, 2, dtype=torch.bool)
>>> [PLANS[name](distance, same)[0].argmax(1).tolist() for name in ("matched", "assigned")]
[[0, 0], [1, 0]]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dpgen_core.losses import ClassStatistics, class_statistics

# Distances (B, n) and whether the classes agree (B, n) -> plan (B, n), whose rows sum to 1, and how
# strongly each image is pulled (B,): 0 without a record of its class.
Plan = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

_AROUND = 0.5  # width of the local mean, in distances to the nearest record
_FAR = 1e4  # stands for infinity where infinities would be subtracted


@dataclass(frozen=True)
class Meeting:
    """Public images and the records of one owner; arguments as in `targets_of`."""

    codes: Tensor
    labels: Tensor
    public: ClassStatistics
    records: Tensor
    record_labels: Tensor
    own: ClassStatistics  #: of the records
    scale: Tensor

    def same(self) -> Tensor:
        """Whether image and record have the same class, (B, n)."""
        return self.labels[:, None] == self.record_labels[None, :]

    def distance(self) -> Tensor:
        """From image to record in standardized deviations, (B, n)."""
        ours = (self.records - self.own.means[self.record_labels]) / (
            self.own.spread[self.record_labels, None] + 1e-6
        )  # (n, d)
        theirs = (self.codes - self.public.means[self.labels]) / (
            self.public.spread[self.labels, None] + 1e-6
        )  # (B, d)
        return torch.cdist(theirs / self.scale, ours / self.scale)


# Targets (B, d), and weights (B, d): 0 without a record of the class.
Form = Callable[[Meeting], tuple[Tensor, Tensor]]


def targets_of(
    form: str,
    codes: Tensor,
    labels: Tensor,
    public: ClassStatistics,
    records: Tensor,
    record_labels: Tensor,
    scale: Tensor,
) -> tuple[Tensor, Tensor]:
    """One owner's target of each image, and how strongly it is pulled there.

    Args:
        form: a key of `FORMS`.
        codes: of the generated images (B, d).
        labels: public, of these (B,).
        public: of generated codes.
        records: codes of the owner's records (n, d).
        record_labels: of these (n,).
        scale: of each mode (d,); those whose scale is small weigh more in a comparison.

    Returns:
        Targets (B, d), and weights of `losses.reconstruction_loss` (B, d).
    """
    own = class_statistics(records, record_labels, len(public.means))
    return FORMS[form](Meeting(codes, labels, public, records, record_labels, own, scale))


def _moments(meeting: Meeting) -> tuple[Tensor, Tensor]:
    own, public, labels = meeting.own, meeting.public, meeting.labels
    count = meeting.same().sum(1, keepdim=True).to(meeting.codes)  # of the class's records, (B, 1)
    unbiased = (count / (count - 1).clamp(min=1)).sqrt()
    standard = (meeting.codes - public.means[labels]) / (public.deviations[labels] + 1e-6)
    targets = own.means[labels] + standard * unbiased * own.deviations[labels]
    return targets, (count > 1).to(targets).expand_as(targets)  # of one record nothing is known


def _by(plan: Plan, *, fine_alone: bool = False) -> Form:
    """The form of a plan; with `fine_alone` the half of the modes whose scale is least is pulled."""

    def form(meeting: Meeting) -> tuple[Tensor, Tensor]:
        chosen, weight = plan(meeting.distance(), meeting.same())
        scale = meeting.scale
        pulled = scale <= scale.median() if fine_alone else torch.ones_like(scale)
        return chosen @ meeting.records, weight[:, None] * pulled

    return form


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


PLANS: Mapping[str, Plan] = {
    "matched": _matched,
    "assigned": _assigned,
    "local-mean": _local_mean,
    "near": _near,
}
FORMS: Mapping[str, Form] = {
    **{name: _by(plan) for name, plan in PLANS.items()},
    "fine-modes": _by(_matched, fine_alone=True),
    "moments": _moments,
}
