"""Owner-side error feedback: what clipping cut off, kept by the owner and added next time.

``make_config(method="efsgd")`` runs this. The owner adds its memory before clipping, so that its
contribution still has norm C at most and the memory costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpgen_core.checks import check_real
from dpgen_core.mechanism.clipping import ClipMode, clip_contributions


class ErrorMemory:
    """One residual for each of K = `num_shards` owners and each class label.

    The latents of a round change, labels do not, so the residual is kept per label:

        v_k = clip(u_k + e_k[y], C)
        e_k[label] <- decay * mean over b with y_b = label of (u_k + e_k[y] - v_k)[b]

    Labels that did not occur keep their residual. `dim` is d, contribution entries per image;
    `decay` is in [0, 1], and 0 switches the memory off. Source: ours; the paper's is not public.
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

        `joined` (k,) are owners' indices, `contributions` u (k, B, d), `labels` y (B,) public; the
        rest is for `clip_contributions`. Returns v (k, B, d) and the norms of u + e.
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
