"""Critics on codes of the public basis: two fully connected layers, or convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.checks import check_choice
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.models.generators import halvings

CriticName = Literal["mlp", "conv"]
CRITICS: tuple[CriticName, ...] = ("mlp", "conv")
SLOPE = 0.2  # of the critics' leaky ReLU, which `mlp_gradients` differentiates


class MLPCritic(nn.Module):
    """Class-conditional critic with two hidden layers of `width` units.

    `classify` adds the classifier of a dual-purpose critic (Chen et al., CVPR 2023): logits from
    the same codes, through layers of its own.
    """

    def __init__(self, basis: FrequencyBasis, num_classes: int, width: int, classify: bool) -> None:
        super().__init__()
        self.layer1 = nn.Linear(basis.dim, width)
        self.layer2 = nn.Linear(width, width)
        self.label = nn.Embedding(num_classes, width)
        self.score = nn.Embedding(num_classes, width)  # an output layer of its own per class
        nn.init.normal_(self.label.weight, std=0.1)
        nn.init.normal_(self.score.weight, std=width**-0.5)
        self.classifier: nn.Sequential | None = None
        if classify:
            first, last = nn.Linear(basis.dim, width), nn.Linear(width, num_classes)
            self.classifier = nn.Sequential(first, nn.LeakyReLU(SLOPE), last)

    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Codes (n, d), labels (n,) -> scores (n,)."""
        hidden = F.leaky_relu(self.layer1(codes) + self.label(labels), SLOPE)  # (n, width)
        hidden = F.leaky_relu(self.layer2(hidden), SLOPE)
        return (hidden * self.score(labels)).sum(1)

    def classify(self, codes: Tensor) -> Tensor:
        """Codes (n, d) -> logits (n, classes)."""
        assert self.classifier is not None, "built with classify=False"
        return self.classifier(codes)


class ConvCritic(nn.Module):
    """Class-conditional critic with a convolution for each of the `halvings` of a picture.

    The last has 2 `width` channels, all others `width`.
    """

    def __init__(self, basis: FrequencyBasis, num_classes: int, width: int, classify: bool) -> None:
        super().__init__()
        channels, side, _ = basis.image_shape
        self._decode: Callable[[Tensor], Tensor] = basis.decode
        self.conv1 = nn.Conv2d(channels, width, 5, stride=2, padding=2)
        more = halvings(side) - 2
        self.further = nn.ModuleList(
            nn.Conv2d(width, width, 5, stride=2, padding=2) for _ in range(more)
        )
        self.conv2 = nn.Conv2d(width, 2 * width, 5, stride=2, padding=2)
        flat = 2 * width * (side >> (more + 2)) ** 2
        self.label = nn.Embedding(num_classes, 2 * width)
        self.score = nn.Linear(flat, 1)
        self.classifier = nn.Linear(flat, num_classes) if classify else None  # on shared features

    def _features(self, codes: Tensor, shift: Tensor | float) -> Tensor:
        x = F.leaky_relu(self.conv1(self._decode(codes)), SLOPE)  # (n, width, h/2, w/2)
        for halve in self.further:
            x = F.leaky_relu(halve(x), SLOPE)
        return F.leaky_relu(self.conv2(x) + shift, SLOPE).flatten(1)  # (n, flat)

    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Codes (n, d), labels (n,) -> scores (n,)."""
        return self.score(self._features(codes, self.label(labels)[:, :, None, None]))[:, 0]

    def classify(self, codes: Tensor) -> Tensor:
        """Codes (n, d) -> logits (n, classes)."""
        assert self.classifier is not None, "built with classify=False"
        return self.classifier(self._features(codes, 0.0))


Critic = MLPCritic | ConvCritic


def build_critic(
    name: str, *, basis: FrequencyBasis, num_classes: int, width: int, classify: bool
) -> Critic:
    """The critic called `name`, one of `CRITICS`."""
    check_choice("critic", name, CRITICS)
    kind = MLPCritic if name == "mlp" else ConvCritic
    return kind(basis, num_classes, width, classify)
