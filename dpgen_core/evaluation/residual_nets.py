"""Residual networks that judge a set by being trained on it: DPImageBench's three, and a small one.

``resnet-8`` and ``resnet-110`` are the CIFAR networks of He et al. (2016), ``wrn-40-4`` is of
Zagoruyko & Komodakis (2016), ``resnext-29`` of Xie et al. (2017), here with 8 groups. Layers and
initial weights follow the benchmark (Gong et al. 2025), whose code is its description.

>>> net = build_network("resnet-8", channels=1, num_classes=10)
>>> net.features(torch.zeros(2, 1, 28, 28)).shape, net(torch.zeros(2, 1, 28, 28)).shape
(torch.Size([2, 64]), torch.Size([2, 10]))
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.checks import check_choice

NETWORKS = ("resnet-8", "resnet-110", "wrn-40-4", "resnext-29")
_DROPOUT = 0.3  # of the wide network


class ResidualNet(nn.Module):
    """A stem, stages of blocks, the mean over all pixels, and a linear head."""

    def __init__(self, stem: nn.Module, blocks: list[nn.Module], width: int, classes: int) -> None:
        super().__init__()
        self.stem, self.blocks = stem, nn.Sequential(*blocks)
        self.head = nn.Linear(width, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def features(self, images: Tensor) -> Tensor:
        """Images in [-1, 1], (n, c, h, w) -> what the head sees, (n, width)."""
        return self.blocks(self.stem(images)).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Images in [-1, 1], (n, c, h, w) -> logits (n, classes)."""
        return self.head(self.features(images))


class _Plain(nn.Module):
    """Two convolutions and a shortcut; normalization after each convolution."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(_conv(channels, out, 3, stride), nn.BatchNorm2d(out), nn.ReLU()),
            *(_conv(out, out, 3), nn.BatchNorm2d(out)),
        )
        self.shortcut = _shortcut(channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class _Wide(nn.Module):
    """Two convolutions and a shortcut; normalization before each convolution."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.body = nn.Sequential(
            *(_conv(channels, out, 3, stride), nn.BatchNorm2d(out), nn.ReLU()),
            *(nn.Dropout(_DROPOUT), _conv(out, out, 3)),
        )
        self.shortcut = None if channels == out else _conv(channels, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        return self.body(y) + (x if self.shortcut is None else self.shortcut(y))


class _Grouped(nn.Module):
    """A bottleneck whose middle convolution is in 8 groups, and a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        inside = 2 * out  # 8 groups, each a quarter of the block's width
        self.body = nn.Sequential(
            *(_conv(channels, inside, 1), nn.BatchNorm2d(inside), nn.ReLU()),
            *(_conv(inside, inside, 3, stride, groups=8), nn.BatchNorm2d(inside), nn.ReLU()),
            *(_conv(inside, out, 1), nn.BatchNorm2d(out)),
        )
        self.shortcut = _shortcut(channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def build_network(name: str, *, channels: int, num_classes: int) -> ResidualNet:
    """An untrained network, from PyTorch's global generator.

    Raises:
        InvalidArgument: a name not in `NETWORKS`.
    """
    check_choice("network", name, NETWORKS)
    if name == "wrn-40-4":
        stages = _stages(_Wide, 16, (64, 128, 256), depth=6)
        stages += [nn.BatchNorm2d(256), nn.ReLU()]
        net = ResidualNet(_conv(channels, 16, 3), stages, 256, num_classes)
        nn.init.zeros_(net.head.bias)
    elif name == "resnext-29":
        stages = _stages(_Grouped, 64, (256, 512, 1024), depth=3)
        net = ResidualNet(_stem(channels, 64), stages, 1024, num_classes)
        nn.init.kaiming_normal_(net.head.weight)
    else:
        depth = (int(name.removeprefix("resnet-")) - 2) // 6  # two convolutions, three stages
        net = ResidualNet(
            _stem(channels, 16), _stages(_Plain, 16, (16, 32, 64), depth=depth), 64, num_classes
        )
    return net.to(memory_format=torch.channels_last)  # a quarter faster on a CPU


def _stages(
    block: type[_Plain] | type[_Wide] | type[_Grouped],
    channels: int,
    widths: tuple[int, ...],
    *,
    depth: int,
) -> list[nn.Module]:
    """`depth` blocks of each width; all but the first stage begin with a stride of 2."""
    blocks: list[nn.Module] = []
    for width in widths:
        for place in range(depth):
            stride = 2 if place == 0 and width != widths[0] else 1
            blocks.append(block(channels, width, stride))
            channels = width
    return blocks


def _stem(channels: int, out: int) -> nn.Module:
    return nn.Sequential(_conv(channels, out, 3), nn.BatchNorm2d(out), nn.ReLU())


def _shortcut(channels: int, out: int, stride: int) -> nn.Module:
    if channels == out and stride == 1:
        return nn.Identity()
    return nn.Sequential(_conv(channels, out, 1, stride), nn.BatchNorm2d(out))


def _conv(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
