"""The effect of the reconstruction loss on diversity: images that follow their targets.

A demonstration for the chapter on losses, without generator, noise or privacy. A class's images, as
codes of the public basis, move freely along the gradient of the reconstruction loss, towards the
nearest or the matched record, of one owner or of many whose gradients are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd
import torch
from torch import Tensor
from torch.func import vmap

from dpgen_core.checks import check_choice, check_int
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.data.sets import ImageData
from dpgen_core.losses import ClassStatistics, class_statistics, reconstruction_loss
from dpgen_core.reconstruction import targets_of
from dpgen_core.streams import stream


def follow_targets(
    data: ImageData,
    *,
    target: str,
    owners: int = 1,
    images: int = 100,
    start_spread: float = 0.1,
    steps: int = 30,
    rate: float = 0.2,
    seed: int = 0,
) -> tuple[Tensor, pd.DataFrame]:
    """Start with nearly equal images of every class and let them follow their targets.

    Args:
        data: the records.
        target: ``matched`` or ``moments`` of `reconstruction.FORMS`, or ``nearest`` (the record with
            the closest code).
        owners: number of owners the records are dealt to, equally many each (a remainder is left
            out); an image follows their mean target.
        images: number per class.
        start_spread: deviation of the first images from the class mean, as a share of the records'.
        steps: gradient steps.
        rate: step size.
        seed: public.

    Returns:
        The last images (n, c, h, w) in [0, 1], class by class, and per step ``spread`` (root mean
        squared deviation over the records') and ``targets`` (share of different targets among an
        image's class), averaged over the classes.

    Raises:
        InvalidArgument: unknown target, or more owners than records.
    """
    check_choice("target", target, TARGETS)
    check_int("owners", owners, low=1, high=len(data.images), fix="owners=1")
    side, classes = data.images.shape[2], len(data.class_names)
    basis = FrequencyBasis((data.images.shape[1], side, side), side // 2)
    records = basis.encode(data.images)
    means, spread, _ = class_statistics(records, data.labels, classes)
    labels = torch.arange(classes).repeat_interleave(images)
    noise = torch.randn(len(labels), records.shape[1], generator=stream(seed, "start"))
    away = start_spread * spread[labels, None] * noise / records.shape[1] ** 0.5
    made, rows = means[labels] + away, []
    each = len(records) // owners
    dealt = torch.arange(owners * each).view(each, owners).T  # (owners, each)
    match = vmap(TARGETS[target], in_dims=(None, None, None, 0, 0))
    for step in range(steps + 1):
        statistics = class_statistics(made, labels, classes)
        goals, masks = match(made, labels, statistics, records[dealt], data.labels[dealt])
        votes = masks.sum(0)  # goals (owners, n, d), masks (owners, n)
        goal = torch.einsum("kn,knd->nd", masks, goals) / votes.clamp(min=1)[:, None]
        mask = (votes > 0).to(made)
        different = [len(goal[labels == k].unique(dim=0)) / images for k in range(classes)]
        rows.append(
            {
                "step": step,
                "spread": float((statistics[1] / spread).mean()),
                "targets": sum(different) / classes,
            }
        )
        moving = made.clone().requires_grad_()
        (slope,) = torch.autograd.grad(reconstruction_loss(moving, goal, mask[:, None]), moving)
        made = made - rate * slope
    return basis.decode(made).clamp(0, 1), pd.DataFrame(rows)


def _by_form(
    form: str,
    made: Tensor,
    labels: Tensor,
    public: ClassStatistics,
    records: Tensor,
    record_labels: Tensor,
) -> tuple[Tensor, Tensor]:
    scale = records.new_ones(records.shape[1])
    goals, weights = targets_of(form, made, labels, public, records, record_labels, scale)
    return goals, weights[:, 0]


def _nearest(
    made: Tensor, labels: Tensor, public: ClassStatistics, records: Tensor, record_labels: Tensor
) -> tuple[Tensor, Tensor]:
    del public
    distance = torch.cdist(made, records)
    same = labels[:, None] == record_labels[None, :]
    return records[torch.where(same, distance, torch.inf).argmin(1)], same.any(1).to(made)


# Under `vmap`: forms that leave PyTorch, as linear assignment does, are not among them.
TARGETS: Mapping[str, Callable[..., tuple[Tensor, Tensor]]] = {
    **{form: partial(_by_form, form) for form in ("matched", "moments")},
    "nearest": _nearest,
}
