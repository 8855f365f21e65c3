"""A class-conditional denoiser: a small U-Net in the parametrization of Karras et al. (2022, EDM).

>>> denoiser = Denoiser((1, 28, 28), num_classes=10, width=8)
>>> noisy, level = torch.zeros(2, 1, 28, 28), torch.tensor([0.1, 10.0])
>>> denoiser(noisy, level, torch.tensor([3, 7])).shape
torch.Size([2, 1, 28, 28])
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.studies.diffusion.per_sample import RecordedConv2d, RecordedLinear
from dpgen_core.checks import require

DATA_STD = 0.5  # of pixels in [-1, 1]; sigma_data of EDM
_FREQUENCIES = 16


def normalized(x: Tensor, groups: int) -> Tensor:
    """Group normalization in the type of x, which autocast would widen."""
    with torch.autocast(x.device.type, enabled=False):
        return F.group_norm(x, groups)


class Block(nn.Module):
    """Two convolutions with a residual path, scaled and shifted by an embedding (n, e)."""

    def __init__(self, channels: int, out_channels: int, embedding: int) -> None:
        super().__init__()
        self.groups = min(8, channels), min(8, out_channels)
        self.conv1 = RecordedConv2d(channels, out_channels, 3)
        self.modulate = RecordedLinear(embedding, 2 * out_channels)
        self.conv2 = RecordedConv2d(out_channels, out_channels, 3)
        self.skip = None if channels == out_channels else RecordedConv2d(channels, out_channels, 1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, out_channels, h, w)."""
        y = self.conv1(F.silu(normalized(x, self.groups[0])))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        y = normalized(y, self.groups[1]) * (1 + scale) + shift
        y = self.conv2(F.silu(y))
        return y + (x if self.skip is None else self.skip(x))


class Denoiser(nn.Module):
    """D(x; level): the expected image behind noise of standard deviation `level`.

    Three resolutions with `width`, 2 and 4 times as many channels. Normalization has no weights of
    its own, so all weights belong to layers whose per-sample gradients `per_sample` records.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], num_classes: int, width: int = 32
    ) -> None:
        super().__init__()
        channels, height, _ = image_shape
        require(height % 4 == 0, "image_shape", image_shape, "divisible by 4", "28x28 or 32x32")
        require(width % 8 == 0, "width", width, "a multiple of 8", "width=32")
        self.num_classes, inside = num_classes, 4 * width
        self.level_in = RecordedLinear(2 * _FREQUENCIES, inside)
        self.label_in = RecordedLinear(num_classes, inside)
        self.embed = RecordedLinear(inside, inside)
        self.stem = RecordedConv2d(channels, width, 3)
        self.down0 = Block(width, width, inside)
        self.down1 = Block(width, 2 * width, inside)
        self.middle0 = Block(2 * width, 4 * width, inside)
        self.middle1 = Block(4 * width, 4 * width, inside)
        self.up1 = Block(6 * width, 2 * width, inside)
        self.up0 = Block(3 * width, width, inside)
        self.last = RecordedConv2d(width, channels, 3)
        nn.init.zeros_(self.last.weight)

    def forward(self, noisy: Tensor, level: Tensor, labels: Tensor) -> Tensor:
        """Noisy images in [-1, 1] plus noise (n, c, h, w), std (n,), labels (n,) -> (n, c, h, w)."""
        wide = level[:, None, None, None]
        norm = (wide.square() + DATA_STD**2).sqrt()
        raw = self._network(noisy / norm, level.log() / 4, labels)
        return DATA_STD**2 / norm.square() * noisy + wide * DATA_STD / norm * raw

    def _network(self, x: Tensor, level: Tensor, labels: Tensor) -> Tensor:
        steps = torch.arange(_FREQUENCIES, device=x.device)
        angles = level[:, None] * 2.0 ** (steps / 2)  # (n, frequencies), from slow to fast
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        one_hot = F.one_hot(labels, self.num_classes).to(x)
        hidden = self.embed(F.silu(self.level_in(waves) + self.label_in(one_hot)))
        e = F.silu(hidden)  # (n, 4 width)
        fine = self.down0(self.stem(x), e)  # (n, width, h, w)
        half = self.down1(F.avg_pool2d(fine, 2), e)  # (n, 2 width, h/2, w/2)
        x = self.middle1(self.middle0(F.avg_pool2d(half, 2), e), e)  # (n, 4 width, h/4, w/4)
        x = self.up1(torch.cat([F.interpolate(x, scale_factor=2), half], dim=1), e)
        x = self.up0(torch.cat([F.interpolate(x, scale_factor=2), fine], dim=1), e)
        return self.last(F.silu(normalized(x, 8))).float()


def denoising_loss(
    denoiser: Denoiser, images: Tensor, labels: Tensor, level: Tensor, noise: Tensor
) -> Tensor:
    """EDM's loss of each image, averaged over pixels (n,); images in [-1, 1], `noise` standard."""
    weight = (level.square() + DATA_STD**2) / (level * DATA_STD).square()
    found = denoiser(images + level[:, None, None, None] * noise, level, labels)
    return weight * (found - images).square().mean((1, 2, 3))


def random_levels(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels of training, (n,): log-normal as in EDM."""
    draw = torch.randn(count, generator=generator, device=generator.device)
    return (1.2 * draw - 1.2).exp()
