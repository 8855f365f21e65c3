"""Clipping bias: where it comes from, how large it is, and what an error memory does about it.

Clipping bounds the influence of one record, or one owner. It also changes the direction of the
sum, because long vectors are shortened and short ones are not. This module has two examples of an
optimizer under that bias, a convex problem with a closed form and a classifier with a rare class,
and the privacy price of `EFSGD`'s memory. `owner_clipping_bias` measures the bias among owners.

To isolate the bias nothing here adds noise. The results are therefore not private, and all data
are public (`glyphs`) or synthetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd
import torch
from opacus import GradSampleModule
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.accounting.events import epsilon_of_events
from dpgen_core.checks import check_int, check_real, require
from dpgen_core.data.sets import load
from dpgen_core.mechanism.clipping import ClipMode, clip_contributions
from dpgen_core.mechanism.efsgd import EFSGD


@dataclass(frozen=True)
class ClippingBias:
    """The effect of clipping on a sum.

    Attributes:
        cosine: between the sums of the clipped and of the unclipped vectors; 1 means that only the
            length changed, which a step size can undo.
        norm_spread: standard deviation of the norms before clipping over their mean.
        clipped_share: share of the vectors that were shortened.
    """

    cosine: float
    norm_spread: float
    clipped_share: float


def measure_bias(
    contributions: Tensor, max_grad_norm: float, mode: ClipMode = "joint"
) -> ClippingBias:
    """Clip contributions and compare the sums.

    Args:
        contributions: (k, B, d), k >= 2 owners (or samples, with B = 1).
        max_grad_norm: C > 0.
        mode: see `clip_contributions`.

    Example:
        >>> measure_bias(torch.tensor([[[3.0, 0.0]], [[0.0, 1.0]]]), 1.0)
        ClippingBias(cosine=0.894..., norm_spread=0.707..., clipped_share=0.5)
    """
    clipped, norms = clip_contributions(contributions, max_grad_norm, mode)
    wanted, kept = contributions.sum(0).flatten(), clipped.sum(0).flatten()
    bound = max_grad_norm / (contributions.shape[1] ** 0.5 if mode == "per-image" else 1.0)
    return ClippingBias(
        cosine=torch.cosine_similarity(wanted, kept, dim=0).item(),
        norm_spread=(norms.std() / norms.mean()).item(),
        clipped_share=(norms > bound).double().mean().item(),
    )


def settling_point(
    points: Sequence[float],
    *,
    max_grad_norm: float,
    max_error_norm: float = 0.0,
    max_residual_norm: float = 0.0,
) -> float:
    """Where `EFSGD` without noise comes to rest on sum_i (theta - x_i)^2 / 2, in closed form.

    At rest the memory releases as much as it receives, at most its bound C2. With
    c_i = clip(theta - x_i, C1) and r_i = clip(theta - x_i - c_i, kappa), theta solves

        mean_i c_i + clip(mean_i r_i, C2) = 0.

    Args:
        points: x_i, at least two different ones.
        max_grad_norm: C1 > 0.
        max_error_norm: C2; 0 is clipped SGD without memory.
        max_residual_norm: kappa.

    Raises:
        InvalidArgument: the points are all equal, or a bound is out of range.

    Example:
        >>> round(settling_point([0.0, 0.0, 9.0], max_grad_norm=1.0), 6)
        0.5
    """
    check_real("max_grad_norm", max_grad_norm, low=0, low_open=True, fix="max_grad_norm=1.0")
    check_real("max_error_norm", max_error_norm, low=0, fix="max_error_norm=1.0")
    check_real("max_residual_norm", max_residual_norm, low=0, fix="max_residual_norm=1.0")
    rule = "at least two different numbers"
    require(len(set(points)) > 1, "points", list(points), rule, "[0.0, 0.0, 9.0]")
    x = torch.tensor(points, dtype=torch.float64)

    def drift(theta: float) -> float:
        clipped = (theta - x).clamp(-max_grad_norm, max_grad_norm)
        residual = (theta - x - clipped).clamp(-max_residual_norm, max_residual_norm).mean()
        return (clipped.mean() + residual.clamp(-max_error_norm, max_error_norm)).item()

    return brentq(drift, min(points), max(points))


def descend(
    points: Sequence[float],
    *,
    max_grad_norm: float,
    max_error_norm: float = 0.0,
    max_residual_norm: float = 0.0,
    lr: float = 0.05,
    steps: int = 400,
) -> Tensor:
    """Run `EFSGD` without noise on sum_i (theta - x_i)^2 / 2 from theta = 0.

    Args:
        points: x_i.
        max_grad_norm: C1.
        max_error_norm: C2; 0 is clipped SGD without memory.
        max_residual_norm: kappa.
        lr: step size.
        steps: number of steps.

    Returns:
        theta after every step, (steps,).
    """
    theta = nn.Parameter(torch.zeros(1))
    x = torch.tensor(points)[:, None]
    optimizer = EFSGD(
        [theta],
        lr=lr,
        max_grad_norm=max_grad_norm,
        max_error_norm=max_error_norm,
        max_residual_norm=max_residual_norm,
        noise_multiplier=0.0,
        expected_batch_size=len(points),
    )
    path = torch.empty(steps)
    for step in range(steps):
        theta.grad_sample = theta.detach() - x  # type: ignore[attr-defined]
        optimizer.step()
        path[step] = theta.item()
    return path


def train_classifier(
    *,
    max_grad_norm: float,
    max_error_norm: float = 0.0,
    num_records: int = 500,
    rare_share: float = 0.02,
    lr: float = 0.5,
    steps: int = 150,
    seed: int = 0,
) -> pd.DataFrame:
    """Softmax regression on a glyphs problem with a rare class, full batch, no noise.

    Two classes of glyphs, one of them rare. The rare records are misclassified at first, so their
    gradients are long and clipping suppresses them. Opacus computes the per-sample gradients.

    Args:
        max_grad_norm: C1; a huge value (1e6) switches clipping off.
        max_error_norm: C2 of the memory; 0 is DP-SGD without noise.
        num_records: N of glyphs drawn, before the rare class is thinned out.
        rare_share: share of the rare class's records to keep.
        lr: step size.
        steps: number of full-batch steps.
        seed: of the data.

    Returns:
        One row per step: loss, recall of the rare class, and the `ClippingBias` of the gradients.
    """
    check_int("steps", steps, low=1, fix="steps=150")
    images, labels = _rare_class(num_records, rare_share, seed)
    images.requires_grad_()  # Opacus's hooks warn when no input asks for a gradient
    model = GradSampleModule(nn.Linear(images.shape[1], 2), loss_reduction="sum")
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    optimizer = EFSGD(
        model.parameters(),
        lr=lr,
        max_grad_norm=max_grad_norm,
        max_error_norm=max_error_norm,
        max_residual_norm=1e6,
        noise_multiplier=0.0,
        expected_batch_size=len(images),
    )
    rows = []
    for step in range(1, steps + 1):
        scores = model(images)
        loss = F.cross_entropy(scores, labels, reduction="sum")
        loss.backward()
        flat = torch.cat([p.grad_sample.flatten(1) for p in model.parameters()], dim=1)
        bias = measure_bias(flat[:, None], max_grad_norm)
        found = (scores.argmax(1) == 1)[labels == 1].double().mean().item()
        rows.append(
            {"step": step, "loss": loss.item() / len(images), "rare_recall": found} | asdict(bias)
        )
        optimizer.step()
        model.zero_grad(set_to_none=True)
    return pd.DataFrame(rows)


def memory_price(
    participations: Sequence[int],
    residual_bounds: Sequence[float],
    *,
    noise_multiplier: float = 20.0,
    delta: float = 1e-5,
) -> pd.DataFrame:
    """Epsilon of an `EFSGD` run by how often a record takes part and by the bound on its residual.

    Args:
        participations: m, the rows; the record is absent from all other rounds.
        residual_bounds: kappa in units of C1, the columns; 0 is no memory.
        noise_multiplier: sigma of each step, in units of C1.
        delta: of the guarantee.

    Returns:
        Epsilon by Renyi accounting under replace-one. No amplification by sampling is claimed, so
        the figures are for comparison with each other.
    """
    table = pd.DataFrame(index=pd.Index(participations, name="participations m"))
    for kappa in residual_bounds:
        optimizer = EFSGD(
            [nn.Parameter(torch.zeros(1))],
            lr=1.0,
            max_grad_norm=1.0,
            max_error_norm=1.0 if kappa else 0.0,
            max_residual_norm=kappa,
            noise_multiplier=noise_multiplier,
            expected_batch_size=100.0,
            generator=torch.Generator(),
        )
        column = "no memory" if not kappa else f"kappa = {kappa:g} C1"
        events = [optimizer.event(steps=1000, participations=m) for m in participations]
        table[column] = [
            epsilon_of_events([event], delta=delta, relation="replace-one", accountant="rdp")
            for event in events
        ]
    return table


def _rare_class(num_records: int, rare_share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Flat images (n, 784) and labels (n,), 1 for the rare class."""
    check_real("rare_share", rare_share, low=0, high=1, low_open=True, fix="rare_share=0.02")
    data = load("glyphs", "train", num_records=5 * num_records, seed=seed)
    common, rare = data.labels == 0, data.labels == 8
    keep = max(1, round(rare_share * num_records / 2))
    chosen = torch.cat([common.nonzero()[:, 0], rare.nonzero()[:keep, 0]])
    return data.images[chosen].flatten(1), (data.labels[chosen] == 8).long()
