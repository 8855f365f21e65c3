"""Per-sample gradients of convolutions and linear layers, with several views of each record.

A record enters a batch as `views` consecutive rows (noise multiplicity, Dockhorn et al. 2023): its
gradient is the *sum* of theirs, so one record is still one clipped contribution.

>>> layer = RecordedLinear(2, 1)
>>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0]])
>>> with recorded([layer], views=2) as gradients:
...     layer(x).sum().backward()
...     gradients()  # two records: weight, weight, bias
tensor([[1., 2., 2.],
        [3., 4., 2.]])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RecordedLinear(nn.Linear):
    """A linear layer that can record per-sample gradients; `views` is 0 where it does not."""

    views = 0
    found: tuple[Tensor, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(n, i) -> (n, o)."""
        if not self.views:
            return super().forward(input)
        out = F.linear(input, self.weight.detach(), self.bias.detach())
        return _hooked(out, lambda slope: self._record(input.detach(), slope))

    def _record(self, x: Tensor, slope: Tensor) -> None:
        rows = slope.unflatten(0, (-1, self.views)).float()  # (records, views, o)
        inputs = x.unflatten(0, (-1, self.views)).float()  # (records, views, i)
        self.found = rows.transpose(1, 2) @ inputs, rows.sum(1)


class RecordedConv2d(nn.Conv2d):
    """A convolution of odd kernel and full padding that can record per-sample gradients."""

    views = 0
    found: tuple[Tensor, Tensor] | None = None

    def __init__(self, channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(channels, out_channels, kernel, padding=kernel // 2)

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, o, h, w)."""
        if not self.views:
            return super().forward(input)
        assert self.bias is not None
        weight, bias = self.weight.detach(), self.bias.detach()
        out = F.conv2d(input, weight, bias, padding=self.padding)
        return _hooked(out, lambda slope: self._record(input.detach(), slope))

    def _record(self, x: Tensor, slope: Tensor) -> None:
        rows = slope.flatten(2).unflatten(0, (-1, self.views))  # (records, views, o, p)
        x = x.to(slope.dtype)
        patches = _patches(x, self.kernel_size[0]).unflatten(0, (-1, self.views))
        weight = rows[:, 0] @ patches[:, 0].transpose(1, 2)  # (records, o, c k k)
        for view in range(1, self.views):
            weight = torch.baddbmm(weight, rows[:, view], patches[:, view].transpose(1, 2))
        self.found = weight, rows.sum((1, 3), dtype=torch.float32)


def _patches(x: Tensor, kernel: int) -> Tensor:
    """What each place of an odd `kernel` sees of x (n, c, h, w): (n, c k k, h w).

    As `F.unfold`, which on a GPU takes the images one by one.
    """
    if kernel == 1:
        return x.flatten(2)
    margin = kernel // 2
    padded = F.pad(x, (margin, margin, margin, margin))
    windows = padded.unfold(2, kernel, 1).unfold(3, kernel, 1)  # (n, c, h, w, k, k), a view
    return windows.permute(0, 1, 4, 5, 2, 3).flatten(4).flatten(1, 3)


def _hooked(out: Tensor, hook: Callable[[Tensor], None]) -> Tensor:
    """`out`, whose gradient will be given to `hook`."""
    if not out.requires_grad:  # of the first layer, whose input needs no gradient
        out.requires_grad_()
    out.register_hook(hook)
    return out


Recorded = RecordedLinear | RecordedConv2d


def recording_layers(model: nn.Module) -> list[Recorded]:
    """The layers of `model` that record; they must hold all of its weights."""
    layers = [m for m in model.modules() if isinstance(m, RecordedLinear | RecordedConv2d)]
    held = {id(p) for layer in layers for p in layer.parameters()}
    assert held == {id(p) for p in model.parameters()}, "a weight whose gradient is not recorded"
    return layers


@contextmanager
def recorded(layers: Iterable[Recorded], views: int) -> Iterator[Callable[[], Tensor]]:
    """Record meanwhile; gives a function that returns the gradients of the last backward pass.

    They are (records, P), float32, in the order of ``model.parameters()``. Each layer must be
    called once in a forward pass.
    """
    chosen = list(layers)
    for layer in chosen:
        layer.views = views

    def gradients() -> Tensor:
        parts = []
        for layer in chosen:
            assert layer.found is not None, "no backward pass yet"
            parts += [part.flatten(1).float() for part in layer.found]
            layer.found = None
        return torch.cat(parts, dim=1)

    try:
        yield gradients
    finally:
        for layer in chosen:
            layer.views, layer.found = 0, None
