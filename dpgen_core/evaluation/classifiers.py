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
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.data.sets import ImageData
from dpgen_core.streams import stream

Architecture = Literal["cnn", "mlp"]
ARCHITECTURES: tuple[Architecture, ...] = ("cnn", "mlp")
BATCH, LEARNING_RATE, HELD_OUT = 128, 1e-3, 0.1


class SmallCNN(nn.Module):
    """Two convolutions and a hidden layer; images (n, c, h, w) -> logits (n, classes)."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        flat = 64 * ((height + 1) // 2 // 2) * ((width + 1) // 2 // 2)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, stride=2, padding=1),  # (n, 32, ceil(h/2), ceil(w/2))
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (n, 64, h/4, w/4)
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(flat, 128),
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
    check_int("num_classes", num_classes, low=2, fix="num_classes=10")
    count = len(images)
    require(
        images.dim() == 4 and count == len(labels) >= 2,
        "images",
        (tuple(images.shape), tuple(labels.shape)),
        "(n, c, h, w) with n >= 2 and one label each",
        "more samples",
    )
    require(bool(images.isfinite().all()), "images", "NaN or infinity", "finite", "clean images")
    low, high = int(labels.min()), int(labels.max())
    require(
        low >= 0 and high < num_classes,
        "labels",
        (low, high),
        f"in 0..{num_classes - 1}",
        f"num_classes={high + 1}",
    )
    where = pick_device(device)
    order = torch.randperm(count, generator=stream(seed, "split"))
    held = max(1, int(count * HELD_OUT))
    valid, train = order[:held], order[held:]
    devices = [where] if where.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: that reaches every GPU
        if devices:
            torch.cuda.manual_seed(seed)
        model = build_classifier(architecture, images, num_classes).to(where)
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
            if judged >= best_accuracy:  # among equals the longest trained
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
        data: what to train on. A model of private records is private: so is the folder.
        architecture: see `train_classifier`.
        num_classes: see `train_classifier`.
        seed: see `train_classifier`.
        epochs: see `train_classifier`.
        cache_dir: folder; None keeps nothing.
        device: see `pick_device`.

    Raises:
        InvalidArgument: see `train_classifier`.
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
    key = _key(data, [architecture, num_classes, seed, epochs, pick_device(device).type])
    path = Path(cache_dir) / f"{data.name}-{architecture}-{key}.safetensors"
    with torch.random.fork_rng(devices=[]):  # the initial weights, drawn only to be overwritten
        model = build_classifier(architecture, data.images, num_classes)
    try:
        model.load_state_dict(load_file(path))
    except (FileNotFoundError, SafetensorError):  # new, or damaged: the file can be made again
        trained = train()
        _write(path, trained.model)
        return trained
    return TrainedClassifier(model, pick_device(device))


def build_classifier(architecture: str, images: Tensor, num_classes: int) -> SmallCNN | SmallMLP:
    """An untrained classifier for images (n, c, h, w), from PyTorch's global generator."""
    channels, height, width = images.shape[1:]
    kind = SmallCNN if architecture == "cnn" else SmallMLP
    return kind((channels, height, width), num_classes)


def _key(data: ImageData, settings: list[object]) -> str:
    """Digest of the data, the settings, this file and PyTorch: all that decides the weights."""
    shape = list(data.images.shape)
    digest = hashlib.sha256(json.dumps([*settings, shape, torch.__version__]).encode())
    digest.update(Path(__file__).read_bytes())
    digest.update(data.images.cpu().contiguous().numpy().data)
    digest.update(data.labels.cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]


def _write(path: Path, model: nn.Module) -> None:
    """Atomically: a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
