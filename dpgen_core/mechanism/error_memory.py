"""Owner-side error feedback: what clipping cut off, kept by the owner and added next time.

This is what ``make_config(method="efsgd")`` runs. Each owner adds its memory to its contribution
before clipping, so a contribution still has norm C at most and the memory costs nothing. The other
form, `efsgd.EFSGD`, keeps one memory on the server, and that one has a price.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpgen_core.checks import check_real
from dpgen_core.mechanism.clipping import ClipMode, clip_contributions


class ErrorMemory:
    """One residual per owner and class label.

    The latents of a round change, labels do not, so the residual is kept per label:

        v_k = clip(u_k + e_k[y], C)
        e_k[label] <- decay * mean over b with y_b = label of (u_k + e_k[y] - v_k)[b]

    Labels that did not occur keep their residual. Source: ours; the paper's rule is not public.

    Args:
        num_shards: K, one shard for each owner.
        num_classes: number of labels.
        dim: contribution entries per image, d.
        decay: in [0, 1]; 0 switches the memory off.
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
            joined: indices of the joining owners, (k,).
            contributions: u, (k, B, d).
            labels: public labels y, (B,).
            max_grad_norm: C.
            mode: see `clip_contributions`.

        Returns:
            v (k, B, d), each owner's norm at most C, and the norms of u + e before clipping.
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
