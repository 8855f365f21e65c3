"""Clipping, error memory, sanitization, and the EFSGD optimizer.

Two forms of error feedback live here; where the memory lives decides what it costs (design
section 4):

* `ErrorMemory` is kept by a data owner and never leaves it. Each contribution is clipped to C after
  the memory was added, so the memory costs nothing (used for image generation).
* `EFSGD` is the DiceSGD form (Zhang, Bu, Wu & Hong, ICLR 2024): one memory on the server mixes
  everybody's residuals and persists, so it has a price, which `EFSGD.event` states.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from dpgen_core.accounting import GaussianEvent
from dpgen_core.checks import check_int, check_real, require
from dpgen_core.streams import HiddenStream

ClipMode = Literal["joint", "per-image"]
CLIP_MODES: tuple[ClipMode, ...] = ("joint", "per-image")
_TINY = 1e-12
# Norms are summed in float64 over blocks of float32: in float32 alone the error grows with the length of a
# contribution. In a block n squares are rounded and summed: at worst n roundings of 2^-24, whose effect the
# root halves; it, the factor and each scaled entry add one each. Scaling to that much below
# the bound covers it. Shorter blocks waste less of the bound, but below this length they take longer.
_BLOCK = 512
_SHRINK = 1.0 - (_BLOCK / 2 + 4) * 2.0**-24


def _norms(*parts: Tensor) -> Tensor:
    """Euclidean norm (n,) of the rows that `parts` (n, m_j) make side by side, float64; see `_BLOCK`."""
    norms = []
    for part in parts:
        whole = part.shape[1] // _BLOCK * _BLOCK
        blocks = part[:, :whole].unflatten(1, (-1, _BLOCK))
        norms.append(torch.linalg.vector_norm(blocks, dim=2))
        if whole < part.shape[1]:
            norms.append(torch.linalg.vector_norm(part[:, whole:], dim=1, keepdim=True))
    return torch.linalg.vector_norm(torch.cat(norms, dim=1), dim=1, dtype=torch.float64)


def _factor(norms: Tensor, max_norm: float) -> Tensor:
    """What scales rows of these norms down to just below `max_norm`, 1 where they are."""
    return (max_norm * _SHRINK / norms.clamp(min=_TINY)).clamp(max=1.0)


def clip_rows(rows: Tensor, max_norm: float) -> tuple[Tensor, Tensor]:
    """Scale each row down to Euclidean norm `max_norm` at most.

    Args:
        rows: (n, d).
        max_norm: the bound, > 0.

    Returns:
        The clipped rows (n, d) and the norms before clipping (n,). A row with a NaN or an infinity
        becomes zero: one broken contribution must not void the bound.

    Example:
        >>> clip_rows(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0)[1]
        tensor([5.0000, 0.5000])
    """
    norms = _norms(rows)  # (n,)
    finite = norms.isfinite()
    factor = _factor(norms, max_norm).to(rows)
    clipped = torch.where(finite[:, None], rows * factor[:, None], torch.zeros_like(rows))
    return clipped, norms.to(rows)


def clip_contributions(
    contributions: Tensor, max_grad_norm: float, mode: ClipMode = "joint"
) -> tuple[Tensor, Tensor]:
    """Bound each shard's contribution by C over all its images together.

    Args:
        contributions: (k, B, d), k shards answering for B images.
        max_grad_norm: C > 0.
        mode: ``"joint"`` clips the (B d)-vector to C; ``"per-image"`` clips each image to
            C / sqrt(B), as the lineage does. Either way the shard's norm is at most C.

    Returns:
        Clipped contributions (k, B, d), and the norms before clipping: (k,) or (k, B).
    """
    k, batch, dim = contributions.shape
    if mode == "joint":
        clipped, norms = clip_rows(contributions.reshape(k, batch * dim), max_grad_norm)
        return clipped.reshape(k, batch, dim), norms
    clipped, norms = clip_rows(contributions.reshape(k * batch, dim), max_grad_norm / batch**0.5)
    return clipped.reshape(k, batch, dim), norms.reshape(k, batch)


class ErrorMemory:
    """Owner-side error memory: one residual per shard and class label.

    The slots of a round (latents) change, labels do not, so the residual is kept per label:

        v_k = clip(u_k + e_k[y], C)
        e_k[label] <- decay * mean over b with y_b = label of (u_k + e_k[y] - v_k)[b]

    Labels that did not occur keep their residual. Source: design section 3, step 4 (ours; the
    paper's rule is not public). ``decay=0`` switches the memory off.

    Args:
        num_shards: K.
        num_classes: number of labels.
        dim: contribution entries per image, d.
        decay: in [0, 1].
        device: where the memory lives.
    """

    def __init__(
        self,
        num_shards: int,
        num_classes: int,
        dim: int,
        decay: float,
        device: torch.device | str = "cpu",
    ) -> None:
        check_real("decay", decay, low=0, high=1, fix="decay=0.5")
        self.decay = decay
        self.residuals = torch.zeros(num_shards if decay else 0, num_classes, dim, device=device)

    def feed_back(
        self,
        joined: Tensor,
        contributions: Tensor,
        labels: Tensor,
        max_grad_norm: float,
        mode: ClipMode = "joint",
    ) -> tuple[Tensor, Tensor]:
        """Add the memory, clip, and keep what the clip cut off.

        Args:
            joined: indices of the joining shards, (k,).
            contributions: u, (k, B, d).
            labels: public labels y, (B,).
            max_grad_norm: C.
            mode: see `clip_contributions`.

        Returns:
            v (k, B, d), each shard's norm at most C, and the norms of u + e before clipping.
        """
        if not self.decay:
            return clip_contributions(contributions, max_grad_norm, mode)
        wanted = contributions + self.residuals[joined][:, labels]  # (k, B, d)
        clipped, norms = clip_contributions(wanted, max_grad_norm, mode)
        lost = (wanted - clipped).nan_to_num(0.0, 0.0, 0.0)
        present, slot = labels.unique(return_inverse=True)  # labels in use; slot of each image
        sums = lost.new_zeros(len(joined), len(present), lost.shape[2])
        sums.index_add_(1, slot, lost)
        means = sums / slot.bincount().to(lost)[None, :, None]  # (k, labels in use, d)
        self.residuals[joined[:, None], present[None, :]] = self.decay * means
        return clipped, norms


def sanitize(
    clipped: Tensor,
    max_grad_norm: float,
    noise_multiplier: float,
    source: HiddenStream,
) -> Tensor:
    """Sum the contributions and add the round's Gaussian noise.

    Args:
        clipped: (k, B, d); k may be 0 (an empty round releases noise alone).
        max_grad_norm: C, the norm each shard's contribution obeys.
        noise_multiplier: sigma, noise std in units of C; 0 only in non-private runs.
        source: the secret noise stream of this release.

    Returns:
        u~ = sum_k v_k + N(0, (sigma C)^2 I), (B, d), float64: in single precision the rounding of a sum
        depends on its first terms, and a replaced record could move it by more than 2 C. What comes out
        is to be rounded by `release.rounded`. Source: design section 3, step 5.

    Raises:
        InvalidArgument: a shard's norm exceeds C. This is the last gate before the release.
    """
    norms = torch.linalg.vector_norm(clipped.flatten(1), dim=1, dtype=torch.float64)  # (k,)
    largest = float(norms.max()) if len(norms) else 0.0
    require(
        largest <= max_grad_norm,
        "clipped",
        largest,
        f"of joint norm <= max_grad_norm = {max_grad_norm:g} per shard",
        "clip_contributions(...) first",
    )
    total = clipped.sum(0, dtype=torch.float64)
    noise = source.normal(clipped.shape[1:]).to(total)
    return total + noise_multiplier * max_grad_norm * noise


class EFSGD(torch.optim.Optimizer):
    """Error-feedback DP-SGD over per-sample gradients (DiceSGD form).

    With g_i the gradient of sample i, E the expected batch size, and e the server's memory::

        c_i   = clip(g_i, C1)
        r_i   = clip(g_i - c_i, kappa)                 # residual, bounded so that it has a price
        v     = sum_i c_i / E + clip(e, C2)
        e     <- e - clip(e, C2) + sum_i r_i / E
        theta <- theta - lr * (v + N(0, (sigma C1 / E)^2 I))

    Differs from Zhang et al. (ICLR 2024) in the bound kappa on the residual. Per-sample gradients
    are read from ``p.grad_sample`` (n, *p.shape), as ``opacus.GradSampleModule`` leaves them; any
    `torch.nn.Module` works. ``max_error_norm=0`` is plain DP-SGD.

    Privacy. The memory is not free: a record's residual shifts later releases. If e and e' differ by
    what one replaced record left, ||e - e'|| grows by at most 2 kappa / E at each participation and,
    as the projection P on the C2-ball is firmly non-expansive, ||(I-P)e - (I-P)e'||^2 <=
    ||e - e'||^2 - ||Pe - Pe'||^2; hence sum_t ||Pe_t - Pe'_t||^2 <= (2 m kappa / E)^2 after m
    participations, and never more than T (2 C2)^2. With the direct part, sqrt(m) 2 C1 / E, Minkowski
    bounds the whole shift; `event` charges it as one Gaussian, without amplification. (The design's
    bound (m kappa)^2 is for a record that is added or removed; replacing doubles it.)

    Args:
        params: parameters that carry ``grad_sample``.
        lr: step size, > 0.
        max_grad_norm: C1 > 0.
        max_error_norm: C2 >= 0; 0 switches the memory off.
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
        require(
            noise_multiplier == 0 or generator is not None,
            "generator",
            generator,
            "a torch.Generator when noise_multiplier > 0",
            "torch.Generator().manual_seed(seed)",
        )
        super().__init__(params, {"lr": lr})
        self.max_grad_norm = max_grad_norm
        self.max_error_norm = max_error_norm
        self.max_residual_norm = max_residual_norm
        self.noise_multiplier = noise_multiplier
        self.expected_batch_size = expected_batch_size
        self.generator = generator

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the ``grad_sample`` of all parameters, which it then clears.

        Raises:
            InvalidArgument: a parameter has no ``grad_sample``.
        """
        parameters = [p for group in self.param_groups for p in group["params"]]
        for p in parameters:
            require(
                getattr(p, "grad_sample", None) is not None,
                "grad_sample",
                None,
                "set on every parameter before step()",
                "wrapping the model in opacus.GradSampleModule",
            )
        released = self._release([p.grad_sample.flatten(1) for p in parameters])  # (P,)
        start = 0
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(released[start : start + p.numel()].view_as(p), alpha=group["lr"])
                start += p.numel()
                p.grad_sample = None

    @torch.no_grad()
    def release(self, gradients: Tensor) -> Tensor:
        """The step's release v + noise, (P,), from per-sample gradients (n, P); moves the memory."""
        return self._release([gradients])

    def _release(self, parts: list[Tensor]) -> Tensor:
        """`release` from per-sample gradients in parts (n, P_j), which are neither joined nor copied.

        A clipped gradient and its residual are both multiples of the gradient, so either is summed over
        the batch by factors alone.
        """
        norms = _norms(*parts)  # (n,)
        finite = norms.isfinite()
        if not finite.all():  # one broken gradient must not void the bound
            parts = [torch.where(finite[:, None], part, 0.0) for part in parts]
            norms = torch.where(finite, norms, 0.0)
        kept = _factor(norms, self.max_grad_norm)
        factors = [kept]
        if self.max_error_norm:
            lost = 1.0 - kept
            factors.append(lost * _factor(lost * norms, self.max_residual_norm))
        weights = (torch.stack(factors) / self.expected_batch_size).to(parts[0])  # (1 or 2, n)
        sizes = [part.shape[1] for part in parts]
        sums = weights.new_empty(len(weights), sum(sizes))  # (1 or 2, P)
        for part, into in zip(parts, sums.split(sizes, dim=1), strict=True):
            torch.mm(weights, part, out=into)
        released = sums[0]
        if self.max_error_norm:
            self._feed_back(released, sums[1])
        if self.noise_multiplier:
            std = self.noise_multiplier * self.max_grad_norm / self.expected_batch_size
            noise = torch.randn(released.shape, generator=self.generator).to(released)
            released.add_(noise, alpha=std)
        return released

    def _feed_back(self, released: Tensor, residual: Tensor) -> None:
        """Move the clipped memory into `released`, and the residual into the memory.

        The memory is kept in the state of the first parameter. A residual is finite and bounded, so it is
        finite too.
        """
        state = self.state[self.param_groups[0]["params"][0]]
        if "error" not in state:
            state["error"] = torch.zeros_like(residual)
        memory = state["error"]
        part = float(_factor(_norms(memory[None]), self.max_error_norm))
        released.add_(memory, alpha=part)
        torch.add(residual, memory, alpha=1 - part, out=memory)

    def event(self, *, steps: int, participations: int, name: str = "efsgd") -> GaussianEvent:
        """The price of `steps` steps under replace-one, each record used `participations` times.

        Args:
            steps: T >= 1.
            participations: m, a public bound on how often one record is in a batch; 1 <= m <= T.
            name: label in the ledger.

        Returns:
            One `GaussianEvent` for the whole run (no amplification by sampling is claimed).
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
