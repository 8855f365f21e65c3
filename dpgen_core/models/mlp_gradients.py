"""The WGAN-GP gradient of all joining MLP critics, written out as batched matrix products.

`torch.func` differentiates any critic, twice for the penalty. For a leaky-ReLU network of two layers the
second derivative is short enough to write down, and that takes a third of the time: masks are computed
once, the penalty's points share the first layer with the records and fakes they lie between, and the three
terms' weight gradients become one product each. The dual-purpose classifier has layers of its own, so its
gradient is a term apart. `tests/test_critic_gradients.py` holds it to autograd.
Source: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dpgen_core.models.critics import SLOPE

Params = dict[str, Tensor]


def wgan_gp_gradients(
    params: Params, real: Tensor, fake: Tensor, labels: Tensor, mix: Tensor, penalty: float
) -> tuple[Params, Tensor]:
    """Gradients of mean D(fake) - mean D(real) + penalty * mean (|grad D(between)| - 1)^2.

    Args:
        params: stacked `MLPCritic` parameters, each (k, ...).
        real: the owners' codes (k, b, d).
        fake: public codes of the same labels (k, b, d).
        labels: (k, b).
        mix: where between real and fake the penalty is taken, in (0, 1), (k, b, 1).
        penalty: its weight.

    Returns:
        The gradient by parameter name, shaped as `params`, and the gap mean D(fake) - mean D(real), (k,).
    """
    first, second = params["layer1.weight"], params["layer2.weight"]  # (k, w, d), (k, w, w)
    k, b, _ = real.shape
    rows = torch.arange(k, device=labels.device)[:, None]
    shift = params["layer1.bias"][:, None] + params["label.weight"][rows, labels]  # (k, b, w)
    out = params["score.weight"][rows, labels]  # (k, b, w)

    # Forward at real and fake; the layers' inputs between them are mixtures of theirs.
    inputs = torch.cat([real, fake], dim=1)  # (k, 2b, d)
    pair = torch.bmm(inputs, first.mT).view(k, 2, b, -1).add_(shift[:, None])  # (k, 2, b, w)
    mixed = torch.lerp(pair[:, 1], pair[:, 0], mix)  # (k, b, w)
    before = torch.cat([pair.flatten(1, 2), mixed], dim=1)  # (k, 3b, w)
    hidden = F.leaky_relu(before, SLOPE)
    later = torch.baddbmm(params["layer2.bias"][:, None], hidden, second.mT)  # (k, 3b, w)
    top = F.leaky_relu(later[:, : 2 * b], SLOPE).view(k, 2, b, -1)
    by_out = (top[:, 1] - top[:, 0]) / b  # (k, b, w), d gap / d out
    gap = (by_out * out).sum((1, 2))

    # Down again: one pass gives the gap's errors and, in the last third, the penalty's path. There the
    # score's own slope is wanted, so the sign and 1/b of the mean come later.
    error2 = torch.stack([out / -b, out / b, out], dim=1).flatten(1, 2)  # (k, 3b, w)
    error2 = through(error2, later)
    error1 = through(torch.bmm(error2, second), before)  # (k, 3b, w)
    slope = torch.bmm(error1[:, 2 * b :], first)  # (k, b, d), the gradient of D at the mixture
    length = (slope.square().sum(2, keepdim=True) + 1e-12).sqrt()
    pull = slope.mul_((2 * penalty / b) * (length - 1) / length)  # d penalty / d slope, (k, b, d)

    # The penalty's path is linear given its masks: back up through the same two layers.
    up1 = through(torch.bmm(pull, first.mT), before[:, 2 * b :])  # (k, b, w)
    up2 = through(torch.bmm(up1, second.mT), later[:, 2 * b :])  # (k, b, w), d penalty / d out

    by_first = torch.bmm(error1.mT, torch.cat([inputs, pull], dim=1))
    hidden[:, 2 * b :] = up1
    by_second = torch.bmm(error2.mT, hidden)
    # Summed by pairs first: a unit on the same side for real and fake has a bias gradient of exactly
    # zero, and Adam would turn a rounding error there into a full step.
    low1 = error1[:, : 2 * b].view(k, 2, b, -1).sum(1)  # (k, b, w), both of a pair share a label
    low2 = error2[:, : 2 * b].view(k, 2, b, -1).sum(1)
    return {
        "layer1.weight": by_first,
        "layer1.bias": low1.sum(1),
        "layer2.weight": by_second,
        "layer2.bias": low2.sum(1),
        "label.weight": _by_label(params["label.weight"], labels, low1),
        "score.weight": _by_label(params["score.weight"], labels, by_out + up2),
    }, gap


def classifier_gradients(params: Params, real: Tensor, fake: Tensor, labels: Tensor) -> Params:
    """Gradients of the dual-purpose classifier's cross-entropy, mean over real plus mean over fake images.

    Args:
        params: stacked `MLPCritic` parameters, each (k, ...); the classifier's layers are its own.
        real: the owners' codes (k, b, d).
        fake: public codes of the same labels (k, b, d).
        labels: (k, b).

    Returns:
        The gradient by name of the classifier's parameters, shaped as in `params`.
    """
    first = params["classifier.0.weight"]  # (k, w, d)
    second = params["classifier.2.weight"]  # (k, c, w)
    inputs = torch.cat([real, fake], dim=1)  # (k, 2b, d)
    before = torch.baddbmm(params["classifier.0.bias"][:, None], inputs, first.mT)  # (k, 2b, w)
    hidden = F.leaky_relu(before, SLOPE)
    logits = torch.baddbmm(params["classifier.2.bias"][:, None], hidden, second.mT)  # (k, 2b, c)
    wanted = F.one_hot(labels.repeat(1, 2), logits.shape[2])
    error2 = (logits.softmax(2) - wanted) / labels.shape[1]
    error1 = through(torch.bmm(error2, second), before)  # (k, 2b, w)
    return {
        "classifier.0.weight": torch.bmm(error1.mT, inputs),
        "classifier.0.bias": error1.sum(1),
        "classifier.2.weight": torch.bmm(error2.mT, hidden),
        "classifier.2.bias": error2.sum(1),
    }


def through(error: Tensor, beside: Tensor) -> Tensor:
    """An error pulled back, or a slope pushed up, through a leaky ReLU; in place.

    Its input or its output stands `beside`: they have the same sign.
    """
    return torch.ops.aten.leaky_relu_backward.grad_input(
        error, beside, SLOPE, False, grad_input=error
    )


def _by_label(table: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
    """Sum the rows (k, b, w) of each label: (k, classes, w)."""
    return torch.zeros_like(table).scatter_add_(
        1, labels[:, :, None].expand(-1, -1, rows.shape[2]), rows
    )
