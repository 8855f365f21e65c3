"""The written-out critic gradient is autograd's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.losses import gradient_penalty, wasserstein_loss
from dpgen_core.models.critics import MLPCritic
from dpgen_core.models.mlp_gradients import (
    Params,
    classifier_gradients,
    wgan_gp_gradients,
)
from dpgen_core.streams import stream

BASIS = FrequencyBasis((1, 8, 8), 4, "cpu")


def case(
    k: int, b: int, classes: int, width: int, draw: torch.Generator, classify: bool = False
) -> tuple[MLPCritic, Params, Tensor]:
    critic = MLPCritic(BASIS, classes, width, classify).double()
    shapes = {n: (k, *v.shape) for n, v in critic.named_parameters()}
    params = {n: 0.3 * normal(*shape, draw=draw) for n, shape in shapes.items()}
    return critic, params, torch.randint(classes, (k, b), generator=draw)


def normal(*shape: int, draw: torch.Generator) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=draw)


@pytest.mark.parametrize("penalty", [0.0, 10.0])
@pytest.mark.parametrize("k, b, classes, width", [(1, 1, 1, 1), (3, 5, 2, 4), (2, 16, 12, 7)])
def test_agrees_with_autograd(k: int, b: int, classes: int, width: int, penalty: float) -> None:
    draw = stream(k + b, "case")
    critic, params, labels = case(k, b, classes, width, draw)
    real, fake = normal(2, k, b, BASIS.dim, draw=draw)
    mix = torch.rand(k, b, 1, dtype=torch.float64, generator=draw)

    def loss(p: Params, r: Tensor, f: Tensor, y: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        def score(codes: Tensor, classes: Tensor) -> Tensor:
            return functional_call(critic, p, (codes, classes))

        gap = wasserstein_loss(score, r, f, y)
        return gap + penalty * gradient_penalty(score, r, f, y, m), gap

    wanted, gap = vmap(grad(loss, has_aux=True))(params, real, fake, labels, mix)
    found, found_gap = wgan_gp_gradients(params, torch.cat([real, fake], 1), labels, mix, penalty)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found_gap, gap)


@pytest.mark.parametrize("k, b, classes, width", [(1, 1, 1, 1), (3, 5, 2, 4), (2, 16, 12, 7)])
def test_classifier_agrees_with_autograd(k: int, b: int, classes: int, width: int) -> None:
    draw = stream(k + b, "case")
    critic, params, labels = case(k, b, classes, width, draw, classify=True)
    real, fake = normal(2, k, b, BASIS.dim, draw=draw)
    assert critic.classifier is not None
    own = {n.removeprefix("classifier."): v for n, v in params.items() if "classifier" in n}

    def loss(p: Params, r: Tensor, f: Tensor, y: Tensor) -> Tensor:
        both = (functional_call(critic.classifier, p, (codes,)) for codes in (r, f))
        return sum((cross_entropy(logits, y) for logits in both), torch.zeros(()))

    wanted = vmap(grad(loss))(own, real, fake, labels)
    found = classifier_gradients(params, torch.cat([real, fake], 1), labels)
    assert {n.removeprefix("classifier.") for n in found} == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[f"classifier.{name}"], wanted[name], rtol=1e-9, atol=1e-12)


def test_a_shard_sees_its_own_records_only() -> None:
    draw = stream(0, "case")
    _, params, labels = case(3, 6, 4, 8, draw)
    real, fake = normal(2, 3, 6, BASIS.dim, draw=draw)
    mix = torch.rand(3, 6, 1, dtype=torch.float64, generator=draw)
    before, _ = wgan_gp_gradients(params, torch.cat([real, fake], 1), labels, mix, 10.0)
    real[1] += 5.0
    after, _ = wgan_gp_gradients(params, torch.cat([real, fake], 1), labels, mix, 10.0)
    for name in before:
        assert torch.equal(before[name][[0, 2]], after[name][[0, 2]])
        if "label" not in name:
            assert not torch.equal(before[name][1], after[name][1])
