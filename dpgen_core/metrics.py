"""Quality of synthetic images: accuracy, Inception Score, Frechet distance, coverage, copying.

What is trained on what (design section 9): *g2r* trains on synthetic and tests on the real test set,
*r2g* the other way round. The Inception Score and the Frechet distance use a classifier trained on
real data (GS-WGAN's MNIST protocol) and are stated as such; only `inception.fid` gives a FID.
These figures are computed from private records and lie outside the guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dpgen_core.checks import check_int, require
from dpgen_core.classifiers import TrainedClassifier, cached_classifier, train_classifier
from dpgen_core.data import ImageData
from dpgen_core.inception import fid
from dpgen_core.streams import stream


@dataclass(frozen=True)
class EvaluationSettings:
    """How much data and work the metrics use.

    Attributes:
        synthetic_records: synthetic images used at most.
        real_records: real training images used at most.
        classifier_epochs: passes of each classifier.
        neighbor_records: images per side in the neighbor metrics.
    """

    synthetic_records: int = 10_000
    real_records: int = 10_000
    classifier_epochs: int = 8
    neighbor_records: int = 2_000

    def __post_init__(self) -> None:
        for name in ("synthetic_records", "real_records", "neighbor_records"):
            check_int(name, getattr(self, name), low=10, fix=f"{name}=1000")
        check_int("classifier_epochs", self.classifier_epochs, low=1, fix="classifier_epochs=8")


def evaluate(
    synthetic: ImageData,
    real_train: ImageData,
    real_test: ImageData,
    *,
    settings: EvaluationSettings,
    seed: int,
    cache_dir: Path | None = None,
) -> dict[str, Any]:
    """All metrics of one set of synthetic images; seeded, values JSON-safe.

    Args:
        synthetic: generated images with their labels.
        real_train: private training records.
        real_test: real test records, used for testing only.
        settings: sizes.
        seed: decides subsets and classifiers.
        cache_dir: where classifiers trained on real data are kept; None keeps none.

    Raises:
        InvalidArgument: images that are not finite.
    """
    require(
        bool(synthetic.images.isfinite().all()),
        "synthetic",
        "NaN or infinity",
        "finite",
        "looking at the training curve: the generator diverged",
    )
    made = _subset(synthetic, settings.synthetic_records, seed)
    real = _subset(real_train, settings.real_records, seed)
    options = {
        "num_classes": len(real.class_names),
        "seed": seed,
        "epochs": settings.classifier_epochs,
    }
    metrics: dict[str, Any] = {}
    judges: dict[str, TrainedClassifier] = {}
    for name in ("cnn", "mlp"):
        judges[name] = cached_classifier(real, architecture=name, cache_dir=cache_dir, **options)
        student = train_classifier(made.images, made.labels, architecture=name, **options)
        metrics[f"g2r_{name}"] = student.accuracy(real_test.images, real_test.labels)
        metrics[f"r2g_{name}"] = judges[name].accuracy(made.images, made.labels)
        metrics[f"real_{name}"] = judges[name].accuracy(real_test.images, real_test.labels)
    judge = judges["cnn"]
    probabilities = judge.logits(made.images).double().softmax(1)
    metrics["inception_score"] = inception_score(probabilities)
    features = {
        "made": judge.features(made.images),
        "train": judge.features(real.images),
        "test": judge.features(real_test.images),
    }
    metrics["frechet_distance"] = frechet_distance(features["made"], features["test"])
    metrics["frechet_floor"] = frechet_distance(features["train"], features["test"])
    count = settings.neighbor_records
    few = {name: value[_rows(len(value), count, seed)] for name, value in features.items()}
    metrics["precision"], metrics["recall"] = precision_recall(few["train"], few["made"])
    metrics |= _pixel_metrics(made, real, real_test, count, seed)
    metrics["fid"], metrics["fid_reason"] = fid(real_test.images, made.images)
    return metrics


def inception_score(probabilities: Tensor) -> float:
    """exp E[KL(p(y|x) || p(y))]; 1 for constant predictions, the class count for sure, even ones.

    Args:
        probabilities: (n, classes), rows sum to 1.

    Source: Salimans et al. (2016), without splits.
    """
    p = probabilities.double().clamp(min=1e-16)
    marginal = p.mean(0, keepdim=True)
    return float((p * (p.log() - marginal.log())).sum(1).mean().exp())


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Frechet distance between Gaussians fitted to two feature sets (n, d) and (m, d).

    |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1^(1/2) S2 S1^(1/2))^(1/2)), the symmetric form, which stays real
    and finite for singular covariances. Source: Dowson & Landau (1982); Heusel et al. (2017).
    """
    a, b = first.double(), second.double()
    cov_a, cov_b = a.T.cov(), b.T.cov()
    root = _root(cov_a)
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    gap = (a.mean(0) - b.mean(0)).square().sum()
    return max(0.0, float(gap + cov_a.trace() + cov_b.trace() - 2 * cross))


def precision_recall(real: Tensor, made: Tensor, neighbors: int = 3) -> tuple[float, float]:
    """Share of made points inside the real manifold, and of real points inside the made one.

    Args:
        real: features (n, d).
        made: features (m, d).
        neighbors: k of the k-nearest-neighbor balls.

    Source: Kynkaanniemi et al. (2019).
    """

    def covered(points: Tensor, manifold: Tensor) -> float:
        k = min(neighbors + 1, len(manifold))  # the nearest is the point itself
        radius = torch.cdist(manifold, manifold).kthvalue(k, dim=1).values
        inside = torch.cdist(points, manifold) <= radius[None, :] * (1 + 1e-6)
        return float(inside.any(1).double().mean())

    return covered(made.double(), real.double()), covered(real.double(), made.double())


def class_distance(images: Tensor, labels: Tensor) -> float:
    """Mean pixel distance between images of one class, averaged over classes: diversity."""
    values = []
    for label in labels.unique():
        flat = images[labels == label].flatten(1)[:300]
        if len(flat) > 1:
            values.append(torch.pdist(flat).mean())
    return float(torch.stack(values).mean()) if values else 0.0


def nearest_distance(images: Tensor, records: Tensor) -> float:
    """Median pixel distance from an image to its nearest record; small means copying."""
    distances = torch.cdist(images.flatten(1), records.flatten(1))
    return float(distances.min(1).values.median())


def _pixel_metrics(
    made: ImageData, real: ImageData, real_test: ImageData, count: int, seed: int
) -> dict[str, float]:
    few_made, few_test = _subset(made, count, seed), _subset(real_test, count, seed)
    few_real = _subset(real, count, seed)
    return {
        "class_distance_synthetic": class_distance(few_made.images, few_made.labels),
        "class_distance_real": class_distance(few_real.images, few_real.labels),
        "nearest_real_distance": nearest_distance(few_made.images, real.images),
        "nearest_real_reference": nearest_distance(few_test.images, real.images),
    }


def _rows(size: int, count: int, seed: int) -> Tensor:
    """Seeded choice of `count` of `size` rows."""
    return torch.randperm(size, generator=stream(seed, "rows", size))[:count]


def _subset(data: ImageData, count: int, seed: int) -> ImageData:
    if len(data.labels) <= count:
        return data
    rows = _rows(len(data.labels), count, seed)
    return ImageData(data.name, data.images[rows], data.labels[rows], data.class_names)


def _root(matrix: Tensor) -> Tensor:
    """Symmetric square root of a positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
