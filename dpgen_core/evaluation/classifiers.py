"""The classifiers of the metrics and their seeded training protocol.

The best epoch is chosen on a held-out tenth of the *given* data: the test set would leak.
"""

from __future__ import annotations

import copy
import functools
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.kept import file_name, load_weights, write_weights
from dpgen_core.pixels import at_once, check_pixels, to_floats
from dpgen_core.streams import stream

ARCHITECTURES = ("cnn", "mlp")
BATCH, LEARNING_RATE, HELD_OUT = 128, 1e-3, 0.1
LARGEST_SIDE = (
    64  # in pixels; larger images are seen at this size, which takes a quarter of the time
)
JUDGED_AT_ONCE = 1000  # images, or fewer of large ones


class Classifier(nn.Module):
    """`body` maps images (n, c, h, w) to features (n, 128), `head` maps features to logits."""

    def __init__(self, body: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.body, self.drop, self.head = body, nn.Dropout(0.3), nn.Linear(128, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) -> logits (n, classes)."""
        return self.head(self.drop(self.body(images)))


class SmallCNN(Classifier):
    """Two convolutions and a hidden layer."""

    def __init__(self, image_shape: tuple[int, ...], num_classes: int) -> None:
        first, (channels, height, width) = _seen(image_shape)
        flat = 64 * ((height + 1) // 2 // 2) * ((width + 1) // 2 // 2)
        body = nn.Sequential(
            *first,
            *(nn.Conv2d(channels, 32, 3, stride=2, padding=1), nn.ReLU()),
            nn.Conv2d(32, 64, 3, padding=1),  # (n, 64, ceil(h/2), ceil(w/2))
            # ReLU and the largest of four commute, and in this order one has a quarter of the work.
            *(nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(0.3), nn.Flatten()),  # (n, flat)
            *(nn.Linear(flat, 128), nn.ReLU()),
        )
        super().__init__(body, num_classes)


class SmallMLP(Classifier):
    """Two hidden layers on flattened pixels."""

    def __init__(self, image_shape: tuple[int, ...], num_classes: int) -> None:
        first, shape = _seen(image_shape)
        body = nn.Sequential(
            *first,
            *(nn.Flatten(), nn.Linear(math.prod(shape), 256), nn.ReLU(), nn.Dropout(0.3)),
            *(nn.Linear(256, 128), nn.ReLU()),
        )
        super().__init__(body, num_classes)


def _seen(image_shape: tuple[int, ...]) -> tuple[list[nn.Module], tuple[int, int, int]]:
    """Layers that bring images of a shape (c, h, w) to what a classifier sees, and its shape."""
    channels, height, width = image_shape
    seen = min(height, LARGEST_SIDE), min(width, LARGEST_SIDE)
    pool: list[nn.Module] = [] if seen == (height, width) else [nn.AdaptiveAvgPool2d(seen)]
    return pool, (channels, *seen)


class TrainedClassifier:
    """A classifier in evaluation mode, applied in batches to floats or bytes."""

    def __init__(self, model: Classifier, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self._device = device

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) -> activations of the last hidden layer, (n, 128), on the CPU."""
        batches = images.split(at_once(images.shape[1:], JUDGED_AT_ONCE))
        parts = (to_floats(part.to(self._device)) for part in batches)
        return torch.cat([self.model.body(part).cpu() for part in parts])

    @torch.no_grad()
    def logits_of(self, features: Tensor) -> Tensor:
        """Features (n, 128) -> logits (n, classes), on the CPU."""
        return self.model.head(features.to(self._device)).cpu()

    def logits(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, classes), on the CPU."""
        return self.logits_of(self.features(images))

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of images whose largest logit is that of their label."""
        return accuracy(self.logits(images), labels)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of rows of `logits` (n, classes) whose largest is at the label."""
    return float((logits.argmax(1) == labels).double().mean())


def pick_device(device: str = "auto") -> torch.device:
    """``auto`` takes CUDA if there is one."""
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

    Images are (n, c, h, w) in [0, 1] or bytes, n >= 2; labels (n,), of which some classes may be
    missing.
    The seed decides initialization, split, order and dropout, without the global generator.
    """
    check_choice("architecture", architecture, ARCHITECTURES)
    check_int("epochs", epochs, low=1, fix="epochs=8")
    check_int("num_classes", num_classes, low=2, fix="num_classes=10")
    count, shapes = len(images), (tuple(images.shape), tuple(labels.shape))
    good = images.dim() == 4 and count == len(labels) >= 2
    rule = "(n, c, h, w) with n >= 2 and one label each"
    require(good, "images", shapes, rule, "more samples")
    check_pixels("images", images)
    low, high = (int(end) for end in labels.aminmax())
    good, rule = low >= 0 and high < num_classes, f"in 0..{num_classes - 1}"
    require(good, "labels", (low, high), rule, f"num_classes={high + 1}")
    where = pick_device(device)
    devices = [where] if where.type == "cuda" else []
    order = torch.randperm(count, generator=stream(seed, "split"))
    held = max(1, int(count * HELD_OUT))
    valid, train = order[:held], order[held:]
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        if devices:
            torch.cuda.manual_seed(seed)
        model = build_classifier(architecture, images, num_classes).to(where)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
        best, best_accuracy = copy.deepcopy(model), -1.0
        for epoch in range(epochs):
            model.train()
            shuffled = train[torch.randperm(len(train), generator=stream(seed, "order", epoch))]
            for rows in shuffled.split(BATCH):
                optimizer.zero_grad()
                logits = model(to_floats(images[rows].to(where)))
                F.cross_entropy(logits, labels[rows].to(where)).backward()
                optimizer.step()
            judged = TrainedClassifier(model, where).accuracy(images[valid], labels[valid])
            if judged >= best_accuracy:  # of equal ones the last
                best, best_accuracy = copy.deepcopy(model), judged
    return TrainedClassifier(best, where)


def cached_classifier(
    data: ImageData, *, cache_dir: Path | None, device: str = "auto", **options: Any
) -> TrainedClassifier:
    """`train_classifier` with its `options`, cached under a digest of all that decides the weights.

    A model trained on private records is private, and so is `cache_dir`; None caches nothing. A
    folder that cannot be written is no error: the model is trained again next time.
    """
    train = functools.partial(train_classifier, data.images, data.labels, device=device, **options)
    if cache_dir is None:
        return train()
    where, architecture = pick_device(device), options["architecture"]
    name = file_name(data, architecture, [options, where.type], [__file__])
    path = Path(cache_dir) / name
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then overwritten
        model = build_classifier(architecture, data.images, options["num_classes"])
    if load_weights(path, model):
        return TrainedClassifier(model, where)
    trained = train()
    write_weights(path, trained.model)
    return trained


def machine_cache() -> Path:
    """Where models trained on public data sets are kept, once per machine.

    It lies beside torch's hub, so ``TORCH_HOME`` moves both. Deleting it costs a minute per data set.
    """
    return Path(torch.hub.get_dir()).parent / "dpgen" / "classifiers"


def build_classifier(architecture: str, images: Tensor, num_classes: int) -> Classifier:
    """An untrained classifier for images (n, c, h, w), from PyTorch's global generator."""
    kind = SmallCNN if architecture == "cnn" else SmallMLP
    model = kind(tuple(images.shape[1:]), num_classes)
    return model.to(memory_format=torch.channels_last)  # a third faster on a CPU
