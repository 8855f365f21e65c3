"""The public basis: the lowest two-dimensional DCT modes of each channel.

Images are codes, x ~ sum_f code_f * mode_f, in a basis fixed before any record is seen. Gradients
are projected on it before they are clipped: the signal is in the low modes, and the noise energy
falls by (modes / side)^2. Source: ours, with the DCT-II of Ahmed, Natarajan & Rao (1974).

    >>> basis = FrequencyBasis((1, 8, 8), modes=3)
    >>> codes = basis.encode(torch.ones(1, 1, 8, 8))
    >>> codes.shape, round(float(codes[0, 0]), 4)  # a constant image is all in the first mode
    (torch.Size([1, 9]), 8.0)

A `chroma` rotates color to brightness, red against green, and yellow against blue, which in natural
images hardly depend on each other; brightness varies most (Ruderman, Cronin & Chiao 1998).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor

from dpgen_core.checks import check_int, check_real, require
from dpgen_core.pixels import to_floats

MOST_VALUES, BLOCK = 2**27, 2048  # more values are encoded in blocks of images, to save memory
_OPPONENT = ((1.0, 1.0, 1.0), (1.0, -1.0, 0.0), (1.0, 1.0, -2.0))  # rows, not of unit length


class FrequencyBasis:
    """Orthonormal change between images (n, c, h, w) and codes (n, c * modes^2).

    `image_shape` is (channels, side, side), and 1 <= `modes` <= side counts the modes kept along
    each axis. With a `chroma` > 0 three channels become opponent colors, of which the two color
    axes are scaled by it in `falloff`; None keeps the channels.
    """

    _further = 0  # codes beyond the modes

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        modes: int,
        device: torch.device | str = "cpu",
        *,
        chroma: float | None = None,
    ) -> None:
        channels, height, width = image_shape
        require(height == width, "image_shape", image_shape, "square", "padding the images")
        check_int("modes", modes, low=1, high=height, fix=f"modes={min(14, height)}")
        self.image_shape = image_shape
        self.modes = modes
        self.dim = channels * modes * modes + self._further
        full = dct(np.eye(height), type=2, norm="ortho", axis=0)  # row f is the f-th cosine
        dtype = torch.get_default_dtype()
        self._rows = torch.tensor(full[:modes], dtype=dtype, device=device)  # (m, h)
        self._chroma, self._colors = chroma, None
        if chroma is not None:
            rule = "three channels with a chroma"
            require(channels == 3, "image_shape", image_shape, rule, "chroma=None")
            check_real("chroma", chroma, low=0, low_open=True, fix="chroma=0.3")
            axes = self._rows.new_tensor(_OPPONENT)
            self._colors = axes / axes.norm(dim=1, keepdim=True)  # (3, 3), orthonormal rows

    def encode(self, images: Tensor) -> Tensor:
        """Project images (n, c, h, w) on the basis: codes (n, d). Never increases a norm.

        Images are floats, or bytes with 255 for 1.
        """
        if images.numel() > MOST_VALUES:
            return torch.cat([FrequencyBasis.encode(self, part) for part in images.split(BLOCK)])
        grid = self._rows @ to_floats(images) @ self._rows.T  # (n, c, m, m)
        if self._colors is not None:
            grid = torch.einsum("oc,ncij->noij", self._colors, grid)
        return grid.flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Images (n, c, h, w) with the given codes (n, d); the transpose of `encode`."""
        grid = codes.unflatten(1, (self.image_shape[0], self.modes, self.modes))
        if self._colors is not None:
            grid = torch.einsum("oc,noij->ncij", self._colors, grid)
        return self._rows.T @ grid @ self._rows

    def falloff(self, corner: float) -> Tensor:
        """Natural spectrum 1 / sqrt(1 + (i^2 + j^2) / corner^2) of each mode, (d,); corner > 0."""
        check_real("corner", corner, low=0, low_open=True, fix="corner=4")
        index = torch.arange(self.modes, dtype=torch.float32, device=self._rows.device)
        radius = index[:, None] ** 2 + index[None, :] ** 2  # (m, m)
        scale = (1 + radius / corner**2).rsqrt().flatten()  # (m * m,)
        if self._chroma is None:
            return scale.repeat(self.image_shape[0])
        return torch.cat([scale, scale * self._chroma, scale * self._chroma])
