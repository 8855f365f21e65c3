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
from dpgen_core.models.generators import doubled
from dpgen_core.models.mlp_gradients import (
    Params,
    classifier_gradients,
    wgan_gp_gradients,
)

BASIS = FrequencyBasis((1, 8, 8), 4, "cpu")


def case(
    k: int, b: int, classes: int, width: int, seed: int, classify: bool = False
) -> tuple[MLPCritic, Params, Tensor]:
    torch.manual_seed(seed)
    critic = MLPCritic(BASIS, classes, width, classify).double()
    stacked = {n: v.detach().repeat(k, *[1] * v.dim()) for n, v in critic.named_parameters()}
    params = {n: v + 0.1 * torch.randn_like(v) for n, v in stacked.items()}
    return critic, params, torch.randint(classes, (k, b))


@pytest.mark.parametrize("penalty", [0.0, 10.0])
@pytest.mark.parametrize("k, b, classes, width", [(1, 1, 1, 1), (3, 5, 2, 4), (2, 16, 12, 7)])
def test_agrees_with_autograd(k: int, b: int, classes: int, width: int, penalty: float) -> None:
    critic, params, labels = case(k, b, classes, width, seed=k + b)  # seeds what follows, too
    real, fake = torch.randn(2, k, b, BASIS.dim, dtype=torch.float64)
    mix = torch.rand(k, b, 1, dtype=torch.float64)

    def loss(p: Params, r: Tensor, f: Tensor, y: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        def score(codes: Tensor, classes: Tensor) -> Tensor:
            return functional_call(critic, p, (codes, classes))

        gap = wasserstein_loss(score, r, f, y)
        return gap + penalty * gradient_penalty(score, r, f, y, m), gap

    wanted, gap = vmap(grad(loss, has_aux=True))(params, real, fake, labels, mix)
    found, found_gap = wgan_gp_gradients(params, real, fake, labels, mix, penalty)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found_gap, gap)


@pytest.mark.parametrize("k, b, classes, width", [(1, 1, 1, 1), (3, 5, 2, 4), (2, 16, 12, 7)])
def test_classifier_agrees_with_autograd(k: int, b: int, classes: int, width: int) -> None:
    critic, params, labels = case(k, b, classes, width, seed=k + b, classify=True)
    real, fake = torch.randn(2, k, b, BASIS.dim, dtype=torch.float64)
    assert critic.classifier is not None
    own = {n.removeprefix("classifier."): v for n, v in params.items() if "classifier" in n}

    def loss(p: Params, r: Tensor, f: Tensor, y: Tensor) -> Tensor:
        both = (functional_call(critic.classifier, p, (codes,)) for codes in (r, f))
        return sum((cross_entropy(logits, y) for logits in both), torch.zeros(()))

    wanted = vmap(grad(loss))(own, real, fake, labels)
    found = classifier_gradients(params, real, fake, labels)
    assert {n.removeprefix("classifier.") for n in found} == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[f"classifier.{name}"], wanted[name], rtol=1e-9, atol=1e-12)


def test_a_shard_sees_its_own_records_only() -> None:
    _, params, labels = case(3, 6, 4, 8, seed=0)
    real, fake = torch.randn(2, 3, 6, BASIS.dim, dtype=torch.float64)
    mix = torch.rand(3, 6, 1, dtype=torch.float64)
    before, _ = wgan_gp_gradients(params, real, fake, labels, mix, 10.0)
    real[1] += 5.0
    after, _ = wgan_gp_gradients(params, real, fake, labels, mix, 10.0)
    for name in before:
        assert torch.equal(before[name][[0, 2]], after[name][[0, 2]])
        if "label" not in name:
            assert not torch.equal(before[name][1], after[name][1])


def test_doubling_repeats_each_pixel_four_times() -> None:
    features = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(doubled(features), torch.nn.functional.interpolate(features, scale_factor=2))
