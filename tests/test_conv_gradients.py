"""The written-out gradient of a convolutional critic is autograd's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad

from dpgen_core.basis import FrequencyBasis
from dpgen_core.conv_gradients import conv_gradients
from dpgen_core.critic_gradients import Params
from dpgen_core.losses import gradient_penalty, wasserstein_loss
from dpgen_core.models import ConvCritic

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def case(b: int, classes: int, width: int, color: bool = False) -> tuple[ConvCritic, Params, Batch]:
    torch.manual_seed(b)
    basis = FrequencyBasis((3, 12, 12), 5, chroma=0.5) if color else FrequencyBasis((1, 8, 8), 4)
    critic = ConvCritic(basis, classes, width, classify=False)
    params = {n: v.detach() + 0.1 * torch.randn_like(v) for n, v in critic.named_parameters()}
    real, fake = torch.randn(2, b, basis.dim)
    return critic, params, (real, fake, torch.randint(classes, (b,)), torch.rand(b, 1))


def by_autograd(
    critic: ConvCritic, params: Params, batch: Batch, penalty: float
) -> tuple[Params, Tensor]:
    real, fake, labels, mix = batch

    def score(p: Params, codes: Tensor, classes: Tensor) -> Tensor:
        return functional_call(critic, p, (codes, classes))

    def loss(p: Params) -> tuple[Tensor, Tensor]:
        gap = wasserstein_loss(lambda c, y: score(p, c, y), real, fake, labels)
        slope = gradient_penalty(lambda c, y: score(p, c, y), real, fake, labels, mix)
        return gap + penalty * slope, gap

    return grad(loss, has_aux=True)(params)


@pytest.mark.parametrize("penalty", [0.0, 10.0])
@pytest.mark.parametrize(
    "b, classes, width, color", [(1, 1, 1, False), (5, 2, 4, False), (4, 7, 3, True)]
)
@pytest.mark.usefixtures("double")
def test_agrees_with_autograd(
    b: int, classes: int, width: int, color: bool, penalty: float
) -> None:
    critic, params, batch = case(b, classes, width, color)
    wanted, gap = by_autograd(critic, params, batch, penalty)
    found, found_gap = conv_gradients(critic.windows, params, *batch, penalty)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found_gap, gap)


def test_agrees_in_the_shapes_of_the_presets() -> None:
    """Convolutions have other kernels for many channels, and those are in single precision."""
    torch.manual_seed(0)
    basis = FrequencyBasis((1, 28, 28), 14)
    critic = ConvCritic(basis, 10, 32, classify=False)
    params = {name: value.detach() for name, value in critic.named_parameters()}
    real, fake = torch.randn(2, 32, basis.dim)
    batch = (real, fake, torch.arange(32) % 10, torch.rand(32, 1))
    wanted, _ = by_autograd(critic, params, batch, 10.0)
    found, _ = conv_gradients(critic.windows, params, *batch, 10.0)
    for name, value in wanted.items():
        error = (found[name] - value).norm()
        assert error <= 1e-4 * value.norm(), name


def test_what_cancels_is_exactly_zero() -> None:
    """Or Adam, which divides by the gradient's size, would turn a rounding error into a full step."""
    critic, params, (real, _, labels, mix) = case(6, 2, 16)
    found, gap = conv_gradients(critic.windows, params, real, real, labels, mix, 0.0)
    for name in ("conv1.bias", "conv2.bias", "label.weight", "score.weight", "score.bias"):
        assert not found[name].any()
    assert not gap.any()
