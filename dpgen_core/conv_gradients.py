"""The WGAN-GP gradient of one convolutional critic, written out.

The algebra is that of `critic_gradients`, for one shard: convolutions are large enough to be taken shard by
shard, and on a CPU that is faster than grouping them, since what a shard remembers on the way stays in the
cache. The first layer takes its windows straight from the codes (`basis.Windows`); the second is the
framework's convolution with channels last. `tests/test_conv_gradients.py` holds the result to autograd.
Source: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dpgen_core.basis import Windows
from dpgen_core.critic_gradients import Params, through
from dpgen_core.models import KERNEL, PADDING, SLOPE, STRIDE


def conv_gradients(
    windows: Windows,
    params: Params,
    real: Tensor,
    fake: Tensor,
    labels: Tensor,
    mix: Tensor,
    penalty: float,
) -> tuple[Params, Tensor]:
    """Gradients of mean D(fake) - mean D(real) + penalty * mean (|grad D(between)| - 1)^2.

    Args:
        windows: what the first layer sees, `ConvCritic.windows`.
        params: one `ConvCritic`'s parameters, without a classifier.
        real: the owner's codes (b, d).
        fake: public codes of the same labels (b, d).
        labels: (b,).
        mix: where between real and fake the penalty is taken, in (0, 1), (b, 1).
        penalty: its weight.

    Returns:
        The gradient by parameter name, shaped as `params`, and the gap mean D(fake) - mean D(real), ().
    """
    b, side = len(labels), windows.side
    width, channels = params["conv1.weight"].shape[:2]
    first = params["conv1.weight"].permute(1, 3, 2, 0).reshape(-1, width)  # (f, w), f as windows
    second = params["conv2.weight"].contiguous(memory_format=torch.channels_last)
    out = params["score.weight"].view(2 * width, side // STRIDE, -1).permute(1, 2, 0)  # (t, t, 2w)

    # Forward at real and fake; the first layer is linear, so between them it is a mixture of theirs.
    inputs = windows.patches(torch.cat([real, fake]))  # (2b, f, s s)
    hidden = inputs.new_empty(3 * b, side**2, width)
    torch.bmm(inputs.mT, first.expand(2 * b, -1, -1), out=hidden[: 2 * b])
    torch.lerp(hidden[b : 2 * b], hidden[:b], mix[:, :, None], out=hidden[2 * b :])
    hidden = F.leaky_relu_(hidden.add_(params["conv1.bias"]), SLOPE)
    hidden = hidden.view(3 * b, side, side, width)
    later = _convolved(hidden, second)  # (3b, t, t, 2w)
    shift = params["conv2.bias"] + params["label.weight"][labels]  # (b, 2w)
    later = F.leaky_relu_(later.add_(shift.repeat(3, 1)[:, None, None]), SLOPE)
    by_out = (later[b : 2 * b] - later[:b]).mean(0)  # (t, t, 2w), d gap / d out
    gap = (by_out * out).sum()

    # Down again: one pass gives the gap's errors and, in the last third, the penalty's path. There the
    # score's own slope is wanted, so the sign and 1/b of the mean come later.
    slopes = torch.stack([out / -b, out / b, out]).repeat_interleave(b, 0)
    error2 = through(slopes, later)  # (3b, t, t, 2w)
    error1 = through(_backward(error2, hidden, second, by_input=True), hidden)  # (3b, s, s, w)
    path = error1[2 * b :].flatten(1, 2)  # (b, s s, w)
    slope = windows.adjoint(first @ path.mT)  # (b, d), the gradient of D at the mixture
    length = (slope.square().sum(1, keepdim=True) + 1e-12).sqrt()
    pull = slope.mul_((2 * penalty / b) * (length - 1) / length)  # d penalty / d slope, (b, d)

    # The penalty's path is linear given its masks: back up through the same two layers.
    pulled = windows.patches(pull)  # (b, f, s s)
    up1 = torch.bmm(pulled.mT, first.expand(b, -1, -1)).view(b, side, side, width)
    hidden[2 * b :] = through(up1, hidden[2 * b :])
    up2 = through(_convolved(hidden[2 * b :], second), later[2 * b :])  # d penalty / d out

    by_first = torch.bmm(inputs, error1[: 2 * b].flatten(1, 2)).sum(0)  # (f, w)
    by_first += torch.bmm(pulled, path).sum(0)
    # Summed by pairs first: a unit on the same side for real and fake has a bias gradient of exactly
    # zero, and Adam would turn a rounding error there into a full step.
    low1 = error1[:b] + error1[b : 2 * b]
    low2 = (error2[:b] + error2[b : 2 * b]).sum((1, 2))  # (b, 2w), both of a pair share a label
    return {
        "conv1.weight": by_first.view(channels, KERNEL, KERNEL, width).permute(3, 0, 2, 1),
        "conv1.bias": low1.sum((0, 1, 2)),
        "conv2.weight": _backward(error2, hidden, second, by_input=False),
        "conv2.bias": low2.sum(0),
        "label.weight": torch.zeros_like(params["label.weight"]).index_add_(0, labels, low2),
        "score.weight": (by_out + up2.sum(0)).permute(2, 0, 1).reshape(1, -1),
        "score.bias": torch.zeros_like(params["score.bias"]),
    }, gap


def _convolved(maps: Tensor, weight: Tensor) -> Tensor:
    """The second layer without its bias: (n, s, s, w) -> (n, t, t, 2w)."""
    return F.conv2d(maps.permute(0, 3, 1, 2), weight, None, STRIDE, PADDING).permute(0, 2, 3, 1)


def _backward(error: Tensor, maps: Tensor, weight: Tensor, *, by_input: bool) -> Tensor:
    """Gradient of `_convolved` by its input, (n, s, s, w), or by its weight."""
    by_maps, by_weight, _ = torch.ops.aten.convolution_backward(
        *(x.permute(0, 3, 1, 2) for x in (error, maps)),
        weight,
        None,
        *([STRIDE] * 2, [PADDING] * 2, [1, 1], False, [0, 0], 1),
        [by_input, not by_input, False],
    )
    return by_maps.permute(0, 2, 3, 1) if by_input else by_weight
