"""The field's kind of judge: a residual net trained on synthetic images, tested on real ones.

DPImageBench (Gong et al. 2025) trains ResNet-110, WRN-40-4 and ResNeXt-29 for 50 epochs. This is
its small relative: a ResNet-8, a few epochs, inputs in [-1, 1], no augmentation. The epoch is
chosen on held-out *synthetic* images, where the benchmark takes held-out real ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.checks import check_int
from dpgen_core.data.sets import ImageData
from dpgen_core.streams import stream


@dataclass(frozen=True)
class DeepProtocol:
    """How the judge is trained."""

    epochs: int = 4
    batch_size: int = 256
    learning_rate: float = 0.01  #: of Adam, falling linearly to 0
    held_out: int = 5000  #: synthetic images that choose the epoch, a tenth of the set at most

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "held_out"):
            check_int(name, getattr(self, name), low=1, fix=f"{name}=4")


class ResNet8(nn.Module):
    """Three stages of one residual block each, 16, 32 and 64 channels (He et al. 2016)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1, bias=False), _norm(16))
        self.blocks = nn.Sequential(_Block(16, 16, 1), _Block(16, 32, 2), _Block(32, 64, 2))
        self.head = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images in [-1, 1], (n, c, h, w) -> logits (n, classes)."""
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))


class _Block(nn.Module):
    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        pair = (channels, out_channels)
        self.conv1 = nn.Conv2d(*pair, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = _norm(out_channels), _norm(out_channels)
        self.skip = nn.Identity() if stride == 1 else nn.Conv2d(*pair, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.skip(x))


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels)


def judge(
    synthetic: ImageData,
    test: ImageData,
    protocol: DeepProtocol,
    *,
    seed: int,
    device: torch.device,
) -> dict[str, object]:
    """Accuracy on `test` at the chosen epoch, and after each epoch (`accuracy_by_epoch`).

    An accuracy that falls from epoch to epoch says that the set is full of artifacts.
    """
    images, labels = (synthetic.images * 2 - 1).to(device), synthetic.labels.to(device)
    held = max(1, min(protocol.held_out, len(labels) // 10))
    order = torch.randperm(len(labels), generator=stream(seed, "split")).to(device)
    chosen, rows = order[:held], order[held:]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = ResNet8(images.shape[1], len(test.class_names)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    size = min(protocol.batch_size, len(rows))
    steps, taken = protocol.epochs * (len(rows) // size), 0
    by_epoch, on_held_out = [], []
    for epoch in range(protocol.epochs):
        model.train()
        shuffled = rows[
            torch.randperm(len(rows), generator=stream(seed, "order", epoch)).to(device)
        ]
        for batch in shuffled.split(size)[: len(rows) // size]:
            for group in optimizer.param_groups:
                group["lr"] = protocol.learning_rate * (1 - taken / steps)
            optimizer.zero_grad()
            with _autocast(device):
                loss = F.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            taken += 1
        by_epoch.append(_accuracy(model, test.images * 2 - 1, test.labels, device))
        on_held_out.append(_accuracy(model, images[chosen], labels[chosen], device))
    best = max(range(protocol.epochs), key=lambda epoch: (on_held_out[epoch], epoch))
    return {
        "accuracy": by_epoch[best],
        "accuracy_by_epoch": by_epoch,
        "held_out_accuracy": on_held_out[best],
    }


def dithered(synthetic: ImageData, *, std: float = 0.08, seed: int = 0) -> ImageData:
    """The set with plain pixel noise: the control that every cleverer repair has to beat."""
    noise = torch.randn(synthetic.images.shape, generator=stream(seed, "dither"))
    noisy = (synthetic.images + std * noise).clamp(0, 1)
    return ImageData(synthetic.name, noisy, synthetic.labels, synthetic.class_names)


@torch.no_grad()
def _accuracy(model: nn.Module, images: Tensor, labels: Tensor, device: torch.device) -> float:
    model.eval()
    right = 0
    for x, y in zip(images.split(2000), labels.split(2000), strict=True):
        with _autocast(device):
            right += int((model(x.to(device)).argmax(1) == y.to(device)).sum())
    return right / len(labels)


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
