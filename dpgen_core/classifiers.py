"""The classifiers of the metrics and their seeded training protocol.

The epoch is chosen on a held-out tenth of the *given* data, synthetic or real. Choosing it on the
real test set would leak (design section 9), so this module never sees a test set.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.data import ImageData
from dpgen_core.streams import stream

Architecture = Literal["cnn", "mlp"]
ARCHITECTURES: tuple[Architecture, ...] = ("cnn", "mlp")
BATCH, LEARNING_RATE, HELD_OUT = 128, 1e-3, 0.1


class SmallCNN(nn.Module):
    """Two convolutions and a hidden layer; images (n, c, h, w) -> logits (n, classes)."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        channels, side, _ = image_shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(64 * ((side + 1) // 2 // 2) ** 2, 128),
            nn.ReLU(),
        )
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(128, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.drop(self.body(images)))


class SmallMLP(nn.Module):
    """Two hidden layers on flattened pixels; images (n, c, h, w) -> logits (n, classes)."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, 256),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(256, 128),
            nn.ReLU(),
        )
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(128, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.drop(self.body(images)))


class TrainedClassifier:
    """A classifier in evaluation mode, applied in batches."""

    def __init__(self, model: SmallCNN | SmallMLP, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self._device = device

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, classes), on the CPU."""
        parts = [self.model(batch.to(self._device)).cpu() for batch in images.split(1000)]
        return torch.cat(parts)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Activations of the last hidden layer, (n, 128), on the CPU."""
        parts = [self.model.body(batch.to(self._device)).cpu() for batch in images.split(1000)]
        return torch.cat(parts)

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of images whose largest logit is at their label."""
        return float((self.logits(images).argmax(1) == labels).double().mean())


def pick_device(device: str = "auto") -> torch.device:
    """``auto`` takes CUDA where there is one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def train_classifier(
    images: Tensor,
    labels: Tensor,
    *,
    architecture: str,
    num_classes: int,
    seed: int,
    epochs: int,
    device: str = "auto",
) -> TrainedClassifier:
    """Train on nine tenths of the given data; keep the epoch that is best on the last tenth.

    Args:
        images: (n, c, h, w) in [0, 1], n >= 2.
        labels: (n,).
        architecture: ``cnn`` or ``mlp``.
        num_classes: number of labels; some may be missing from `labels`.
        seed: decides initialization, split, order and dropout; the global generator is left alone.
        epochs: passes over the data, >= 1.
        device: see `pick_device`.

    Raises:
        InvalidArgument: bad settings, or images that are not finite.
    """
    check_choice("architecture", architecture, ARCHITECTURES)
    check_int("epochs", epochs, low=1, fix="epochs=8")
    require(len(images) >= 2, "images", len(images), "at least 2 images", "more samples")
    require(bool(images.isfinite().all()), "images", "NaN or infinity", "finite", "clean images")
    where = pick_device(device)
    order = torch.randperm(len(images), generator=stream(seed, "split"))
    held = max(1, int(len(images) * HELD_OUT))
    valid, train = order[:held], order[held:]
    devices = [where] if where.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        kind = SmallCNN if architecture == "cnn" else SmallMLP
        model = kind(tuple(images.shape[1:]), num_classes).to(where)  # type: ignore[arg-type]
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        best, best_accuracy = copy.deepcopy(model), -1.0
        for epoch in range(epochs):
            model.train()
            shuffled = train[torch.randperm(len(train), generator=stream(seed, "order", epoch))]
            for rows in shuffled.split(BATCH):
                optimizer.zero_grad(set_to_none=True)
                logits = model(images[rows].to(where))
                F.cross_entropy(logits, labels[rows].to(where)).backward()
                optimizer.step()
            judged = TrainedClassifier(model, where).accuracy(images[valid], labels[valid])
            if judged >= best_accuracy:
                best, best_accuracy = copy.deepcopy(model), judged
    return TrainedClassifier(best, where)


def cached_classifier(
    data: ImageData,
    *,
    architecture: str,
    num_classes: int,
    seed: int,
    epochs: int,
    cache_dir: Path | None,
    device: str = "auto",
) -> TrainedClassifier:
    """`train_classifier` on `data`, kept as safetensors under a name made of data and settings.

    Args:
        data: what to train on.
        architecture: see `train_classifier`.
        num_classes: see `train_classifier`.
        seed: see `train_classifier`.
        epochs: see `train_classifier`.
        cache_dir: folder; None keeps nothing.
        device: see `pick_device`.
    """

    def train() -> TrainedClassifier:
        return train_classifier(
            data.images,
            data.labels,
            architecture=architecture,
            num_classes=num_classes,
            seed=seed,
            epochs=epochs,
            device=device,
        )

    if cache_dir is None:
        return train()
    settings = [architecture, num_classes, seed, epochs, BATCH, LEARNING_RATE, HELD_OUT]
    digest = hashlib.sha256(json.dumps(settings).encode())
    digest.update(data.images.numpy().tobytes())
    digest.update(data.labels.numpy().tobytes())
    path = Path(cache_dir) / f"{data.name}-{architecture}-{digest.hexdigest()[:16]}.safetensors"
    if not path.exists():
        trained = train()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        save_file({k: v.cpu().contiguous() for k, v in trained.model.state_dict().items()}, partial)
        os.replace(partial, path)
    kind = SmallCNN if architecture == "cnn" else SmallMLP
    model = kind(tuple(data.images.shape[1:]), num_classes)  # type: ignore[arg-type]
    model.load_state_dict(load_file(path))
    return TrainedClassifier(model, pick_device(device))
