"""The WGAN-GP gradient of all joining owners' MLP critics, as batched matrix products.

`torch.func` differentiates any critic, twice for the penalty. Written out for two leaky-ReLU layers
it takes a third of the time: masks are computed once, the penalty's points reuse the first layer's
output, and each weight's gradient is one product. The dual-purpose classifier is treated apart.
``tests/models/test_mlp_gradients.py`` compares both with autograd. Source: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dpgen_core.models.critics import SLOPE

Params = dict[str, Tensor]


def wgan_gp_gradients(
    params: Params, pairs: Tensor, labels: Tensor, mix: Tensor, penalty: float
) -> tuple[Params, Tensor]:
    """Gradients of mean D(fake) - mean D(real) + penalty * mean (|grad D(between)| - 1)^2.

    Of stacked `MLPCritic` parameters, each (k, ...). `pairs` (k, 2b, d) are b real codes and then b
    fake ones of the same `labels` (k, b); `mix` in (0, 1), (k, b, 1), places the penalty's points
    between the two. Returns the gradients, shaped as `params`, and the gap mean D(fake) - mean
    D(real), (k,).
    """
    first, second = params["layer1.weight"], params["layer2.weight"]  # (k, w, d), (k, w, w)
    k, b = labels.shape
    rows = torch.arange(k, device=labels.device)[:, None]
    shift = params["layer1.bias"][:, None] + params["label.weight"][rows, labels]  # (k, b, w)
    out = params["score.weight"][rows, labels]  # (k, b, w)

    # Forward. The first layer is linear: between real and fake, its output is their mixture.
    pair = torch.bmm(pairs, first.mT).view(k, 2, b, -1).add_(shift[:, None])  # (k, 2, b, w)
    mixed = torch.lerp(pair[:, 1], pair[:, 0], mix)  # (k, b, w)
    before = torch.cat([pair.flatten(1, 2), mixed], dim=1)  # (k, 3b, w)
    hidden = F.leaky_relu(before, SLOPE)
    later = torch.baddbmm(params["layer2.bias"][:, None], hidden, second.mT)  # (k, 3b, w)
    top = F.leaky_relu(later[:, : 2 * b], SLOPE).view(k, 2, b, -1)
    by_out = (top[:, 1] - top[:, 0]) / b  # (k, b, w), d gap / d out
    gap = (by_out * out).sum((1, 2))

    # Backward. The last third is the score's gradient at the mixtures, not divided by b.
    error2 = torch.stack([out / -b, out / b, out], dim=1).flatten(1, 2)  # (k, 3b, w)
    error2 = _masked(error2, later)
    error1 = _masked(torch.bmm(error2, second), before)  # (k, 3b, w)
    slope = torch.bmm(error1[:, 2 * b :], first)  # (k, b, d), the gradient of D at the mixture
    length = (torch.linalg.vector_norm(slope, dim=2, keepdim=True).square() + 1e-12).sqrt()
    pull = slope.mul_((2 * penalty / b) * (length - 1) / length)  # d penalty / d slope, (k, b, d)

    # Given its masks, that gradient is linear in each weight: forward through the same two layers.
    up1 = _masked(torch.bmm(pull, first.mT), before[:, 2 * b :])  # (k, b, w)
    up2 = _masked(torch.bmm(up1, second.mT), later[:, 2 * b :])  # (k, b, w), d penalty / d out

    hidden[:, 2 * b :] = up1
    # Summed by pairs first: a unit with the same sign at real and fake has a bias gradient of
    # exactly zero, and Adam would turn a rounding error there into a full step.
    low1 = error1[:, : 2 * b].view(k, 2, b, -1).sum(1)  # (k, b, w), both of a pair share a label
    low2 = error2[:, : 2 * b].view(k, 2, b, -1).sum(1)
    by_pairs = torch.bmm(error1[:, : 2 * b].mT, pairs)  # (k, w, d)
    return {
        "layer1.weight": by_pairs.baddbmm_(error1[:, 2 * b :].mT, pull),
        "layer1.bias": low1.sum(1),
        "layer2.weight": torch.bmm(error2.mT, hidden),
        "layer2.bias": low2.sum(1),
        "label.weight": _by_label(params["label.weight"], labels, low1),
        "score.weight": _by_label(params["score.weight"], labels, by_out + up2),
    }, gap


def classifier_gradients(params: Params, pairs: Tensor, labels: Tensor) -> Params:
    """Gradients of the classifier's cross-entropy, mean over real plus mean over fake codes.

    `pairs` (k, 2b, d) and `labels` (k, b) as in `wgan_gp_gradients`.
    """
    first, second = (params[f"classifier.{i}.weight"] for i in (0, 2))  # (k, w, d), (k, c, w)
    before = torch.baddbmm(params["classifier.0.bias"][:, None], pairs, first.mT)  # (k, 2b, w)
    hidden = F.leaky_relu(before, SLOPE)
    logits = torch.baddbmm(params["classifier.2.bias"][:, None], hidden, second.mT)  # (k, 2b, c)
    wanted = F.one_hot(labels.repeat(1, 2), logits.shape[2])
    error2 = (logits.softmax(2) - wanted) / labels.shape[1]
    error1 = _masked(torch.bmm(error2, second), before)  # (k, 2b, w)
    return {
        "classifier.0.weight": torch.bmm(error1.mT, pairs),
        "classifier.0.bias": error1.sum(1),
        "classifier.2.weight": torch.bmm(error2.mT, hidden),
        "classifier.2.bias": error2.sum(1),
    }


def _masked(error: Tensor, inputs: Tensor) -> Tensor:
    """`error` times the derivative of the leaky ReLU at `inputs`; in place."""
    backward = torch.ops.aten.leaky_relu_backward.grad_input
    return backward(error, inputs, SLOPE, False, grad_input=error)


def _by_label(table: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
    """Sum the rows (k, b, w) of each label: (k, classes, w)."""
    index = labels[:, :, None].expand(-1, -1, rows.shape[2])
    return torch.zeros_like(table).scatter_add_(1, index, rows)
