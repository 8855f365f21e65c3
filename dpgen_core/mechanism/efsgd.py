"""Error-feedback DP-SGD as a PyTorch optimizer, with one memory on the server.

Every record moves that memory, so it has a price (`EFSGD.event`). The other form, owner-side error
feedback, has none: see `error_memory`. ``make_config(method="efsgd")`` runs the owners' form.

    >>> theta = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = EFSGD([theta], lr=1.0, max_grad_norm=1.0, max_error_norm=1.0,
    ...                   max_residual_norm=9.0, noise_multiplier=0.0, expected_batch_size=1)
    >>> optimizer.release(torch.tensor([[3.0, 4.0]]))  # clipped; the rest goes into the memory
    tensor([0.6000, 0.8000])
    >>> optimizer.release(torch.tensor([[0.0, 0.0]]))  # and comes out of it, clipped again
    tensor([0.6000, 0.8000])
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from dpgen_core.accounting.events import GaussianEvent
from dpgen_core.checks import check_int, check_real, require
from dpgen_core.mechanism.clipping import clip_factors, row_norms

_HUGE = 2.0**64  # float32 would round the factors of longer gradients too coarsely


class EFSGD(torch.optim.Optimizer):
    """Error-feedback DP-SGD over per-sample gradients (DiceSGD form).

    With g_i the gradient of sample i, E the expected batch size, and e the server's memory::

        c_i   = clip(g_i, C1)
        r_i   = clip(g_i - c_i, kappa)                 # residual, bounded so that it has a price
        v     = sum_i c_i / E + clip(e, C2)
        e     <- e - clip(e, C2) + sum_i r_i / E
        theta <- theta - lr * (v + N(0, (sigma C1 / E)^2 I))

    Differs from Zhang et al. (ICLR 2024) in the bound kappa. A record's residual shifts later
    releases: its price, charged by `event`, is derived in `book/privacy.md`.

    Args:
        params: with ``grad_sample`` as `opacus.GradSampleModule` leaves it, ``(n, *p.shape)``.
        lr: step size, > 0.
        max_grad_norm: C1 > 0.
        max_error_norm: C2 >= 0; 0 switches the memory off, which leaves plain DP-SGD.
        max_residual_norm: kappa >= 0, the bound on one sample's residual.
        noise_multiplier: sigma >= 0, noise std on the *sum* in units of C1.
        expected_batch_size: E > 0, a public constant (never the drawn batch's size).
        generator: the noise stream; required when sigma > 0.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        max_grad_norm: float,
        max_error_norm: float,
        max_residual_norm: float,
        noise_multiplier: float,
        expected_batch_size: float,
        generator: torch.Generator | None = None,
    ) -> None:
        check_real("lr", lr, low=0, low_open=True, fix="lr=0.1")
        check_real("max_grad_norm", max_grad_norm, low=0, low_open=True, fix="max_grad_norm=1")
        check_real("max_error_norm", max_error_norm, low=0, fix="max_error_norm=1")
        check_real("max_residual_norm", max_residual_norm, low=0, fix="max_residual_norm=1")
        check_real("noise_multiplier", noise_multiplier, low=0, fix="noise_multiplier=1")
        check_real("expected_batch_size", expected_batch_size, low=0, low_open=True, fix="64")
        good = noise_multiplier == 0 or generator is not None
        rule = "a torch.Generator when noise_multiplier > 0"
        require(good, "generator", generator, rule, "torch.Generator().manual_seed(seed)")
        super().__init__(params, {"lr": lr})
        self.max_grad_norm = max_grad_norm
        self.max_error_norm = max_error_norm
        self.max_residual_norm = max_residual_norm
        self.noise_multiplier = noise_multiplier
        self.expected_batch_size = expected_batch_size
        self.generator = generator

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the ``grad_sample`` that all parameters must have, and that it clears."""
        parameters = [(p, group["lr"]) for group in self.param_groups for p in group["params"]]
        good = all(getattr(p, "grad_sample", None) is not None for p, _ in parameters)
        rule = "set on every parameter before step()"
        fix = "wrapping the model in opacus.GradSampleModule"
        require(good, "grad_sample", None, rule, fix)
        released = self._release([p.grad_sample.flatten(1) for p, _ in parameters])  # (P,)
        pieces = released.split([p.numel() for p, _ in parameters])
        for (p, lr), piece in zip(parameters, pieces, strict=True):
            p.sub_(piece.view_as(p), alpha=lr)
            p.grad_sample = None

    @torch.no_grad()
    def release(self, gradients: Tensor) -> Tensor:
        """A step's release v + noise, (P,), from per-sample gradients (n, P); moves the memory."""
        return self._release([gradients])

    def _release(self, parts: list[Tensor]) -> Tensor:
        """`release` from per-sample gradients in parts (n, P_j), which are not joined.

        Clipped gradients and residuals are multiples of gradients: factors alone sum them.
        """
        dtype, norms = parts[0].dtype, row_norms(*parts)  # (n,)
        finite = norms.isfinite()
        if not finite.all():  # one broken gradient must not void the bound
            parts = [torch.where(finite[:, None], part, 0.0) for part in parts]
            norms = torch.where(finite, norms, 0.0)
        if (norms > _HUGE).any():
            parts = [part.double() for part in parts]
        kept = clip_factors(norms, self.max_grad_norm)
        factors = [kept]
        if self.max_error_norm:
            lost = 1.0 - kept
            factors.append(lost * clip_factors(lost * norms, self.max_residual_norm))
        weights = (torch.stack(factors) / self.expected_batch_size).to(parts[0])  # (1 or 2, n)
        sizes = [part.shape[1] for part in parts]
        sums = weights.new_empty(len(weights), sum(sizes))  # (1 or 2, P)
        for part, into in zip(parts, sums.split(sizes, dim=1), strict=True):
            torch.mm(weights, part, out=into)
        sums = sums.to(dtype)
        released = sums[0]
        if self.max_error_norm:
            self._feed_back(released, sums[1])
        if self.noise_multiplier:
            std = self.noise_multiplier * self.max_grad_norm / self.expected_batch_size
            noise = torch.randn(released.shape, generator=self.generator).to(released)
            released.add_(noise, alpha=std)
        return released

    def _feed_back(self, released: Tensor, residual: Tensor) -> None:
        """Move the clipped memory into `released`, and the residual into the memory."""
        state = self.state[self.param_groups[0]["params"][0]]
        if "error" not in state:
            state["error"] = torch.zeros_like(residual)
        memory = state["error"]
        part = float(clip_factors(row_norms(memory[None]), self.max_error_norm))
        released.add_(memory, alpha=part)
        torch.add(residual, memory, alpha=1 - part, out=memory)

    def event(self, *, steps: int, participations: int, name: str = "efsgd") -> GaussianEvent:
        """The price of T = `steps` under replace-one, as one release without amplification.

        m = `participations`, from 1 to T, is a public bound on how often one record is in a batch.
        All releases together shift by 2 C1 sqrt(m) / E + min(2 m kappa / E, 2 C2 sqrt(T)) at most.
        """
        check_int("steps", steps, low=1, fix="steps=100")
        check_int("participations", participations, low=1, high=steps, fix="participations=1")
        direct = participations**0.5 * 2 * self.max_grad_norm
        by_residual = 2 * participations * self.max_residual_norm
        by_clip = steps**0.5 * 2 * self.max_error_norm * self.expected_batch_size
        memory = min(by_residual, by_clip)  # 0 without a memory
        std = self.noise_multiplier * self.max_grad_norm
        require(std > 0, "noise_multiplier", self.noise_multiplier, "> 0 to be charged", "1.0")
        return GaussianEvent(name, std / (direct + memory))
