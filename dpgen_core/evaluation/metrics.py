"""Quality of synthetic images: accuracy, Inception Score, Frechet distance, coverage, copying.

*g2r* trains a classifier on synthetic images and tests it on real ones, *r2g* the other way round.
The Inception Score and the Frechet distance use a classifier trained on real data, GS-WGAN's
protocol for MNIST; only `inception.fid` gives a FID. The privacy guarantee does not cover them.

    >>> round(inception_score(torch.eye(3)), 6)  # certain of the class, and each class as often
    3.0
    >>> frechet_distance(torch.zeros(9, 2), torch.ones(9, 2))
    2.0
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dpgen_core.checks import check_int, require
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.classifiers import (
    ARCHITECTURES,
    LARGEST_SIDE,
    accuracy,
    cached_classifier,
    train_classifier,
)
from dpgen_core.evaluation.inception import fid
from dpgen_core.pixels import at_once, check_pixels, to_floats
from dpgen_core.streams import stream

Metric = float | str | None
WHOLE_SIDE = 32  # in pixels, up to which as many images are judged as the settings say


@dataclass(frozen=True)
class EvaluationSettings:
    """How much data and work the metrics use."""

    synthetic_records: int = 10_000  #: synthetic images used at most
    real_records: int = 10_000  #: real training images used at most
    classifier_epochs: int = 8  #: passes of each classifier
    neighbor_records: int = 2_000  #: images per side in the neighbor metrics

    def __post_init__(self) -> None:
        for name in ("synthetic_records", "real_records", "neighbor_records"):
            check_int(name, getattr(self, name), low=10, fix=f"{name}=1000")
        check_int("classifier_epochs", self.classifier_epochs, low=1, fix="classifier_epochs=8")

    def for_side(self, side: int) -> EvaluationSettings:
        """The same up to `WHOLE_SIDE`; of larger images fewer, so that a pass takes as long. Ours.

        `side` is in pixels. All larger than `classifiers.LARGEST_SIDE` are seen at that size.
        """
        share = min(1.0, (WHOLE_SIDE / min(side, LARGEST_SIDE)) ** 2)
        fewer = (round(share * count) for count in (self.synthetic_records, self.real_records))
        synthetic, real = (max(10, count) for count in fewer)
        return replace(self, synthetic_records=synthetic, real_records=real)


def evaluate(
    synthetic: ImageData,
    real_train: ImageData,
    real_test: ImageData,
    *,
    settings: EvaluationSettings,
    seed: int,
    cache_dir: Path | None = None,
) -> dict[str, Metric]:
    """All metrics of one set of synthetic images; seeded, values JSON-safe, None if not defined.

    ``real_*`` trains and tests on real data: the ceiling of g2r. All but accuracies, FID and the
    pixel distances (``class_distance_*``, ``nearest_real_*``) is by the real-trained CNN.
    `cache_dir` keeps classifiers trained on real data: it is private. No classifier is trained or
    chosen on `real_test`, and each sees large images at `classifiers.LARGEST_SIDE`. Images may be bytes,
    which count as the floats that they stand for. Raises `InvalidArgument` for sets that differ in
    shape or classes.
    """
    sets = {"synthetic": synthetic, "real_train": real_train, "real_test": real_test}
    wanted = tuple(real_train.images.shape[1:]), len(real_train.class_names)
    for name, data in sets.items():
        require(len(data.images) >= 2, name, len(data.images), "at least 2 images", "more samples")
        found = tuple(data.images.shape[1:]), len(data.class_names)
        rule = f"(image shape, classes) {wanted}"
        require(found == wanted, name, found, rule, "one data set for all")
        check_pixels(name, data.images)  # which may have changed since made
    made = subset(synthetic, settings.synthetic_records, seed)
    real = subset(real_train, settings.real_records, seed)
    metrics: dict[str, Metric] = {}
    protocol: dict[str, Any] = {"num_classes": len(real.class_names), "seed": seed}
    protocol["epochs"] = settings.classifier_epochs
    for name in reversed(ARCHITECTURES):  # the CNN last: the metrics below are by it
        judge = cached_classifier(real, architecture=name, cache_dir=cache_dir, **protocol)
        student = train_classifier(made.images, made.labels, architecture=name, **protocol)
        by_made, by_test = (judge.features(data.images) for data in (made, real_test))
        metrics[f"g2r_{name}"] = student.accuracy(real_test.images, real_test.labels)
        metrics[f"r2g_{name}"] = accuracy(judge.logits_of(by_made), made.labels)
        metrics[f"real_{name}"] = accuracy(judge.logits_of(by_test), real_test.labels)
    count, by_real = settings.neighbor_records, judge.features(real.images)
    metrics["inception_score"] = inception_score(judge.logits_of(by_made).double().softmax(1))
    metrics["frechet_distance"] = frechet_distance(by_made, by_test)
    metrics["frechet_floor"] = frechet_distance(by_real, by_test)
    # With test records, as features of training records lie closer together.
    few = [part[_rows(len(part), count, seed)] for part in (by_test, by_made)]
    metrics["precision"], metrics["recall"] = precision_recall(few[0], few[1])
    few_made, few_real, few_test = (subset(d, count, seed) for d in (made, real_train, real_test))
    metrics["class_distance_synthetic"] = class_distance(few_made.images, few_made.labels)
    metrics["class_distance_real"] = class_distance(few_real.images, few_real.labels)
    metrics["nearest_real_distance"] = nearest_distance(few_made.images, real_train.images)
    metrics["nearest_real_reference"] = nearest_distance(few_test.images, real_train.images)
    metrics["fid"], metrics["fid_reason"] = fid(real_test.images, made.images)
    return metrics


def inception_score(probabilities: Tensor) -> float:
    """Exp E[KL(p(y|x) || p(y))] of `probabilities` (n, classes); from 1 to the number of classes.

    Raises `InvalidArgument` unless rows sum to 1. Source: Salimans et al. (2016), without splits.
    """
    sums, shape = probabilities.double().sum(1), tuple(probabilities.shape)
    good = len(sums) > 0 and bool(((sums - 1).abs() < 1e-4).all())
    require(good, "probabilities", shape, "rows that each sum to 1", "logits.softmax(1)")
    p = probabilities.double().clamp(min=1e-16)
    marginal = p.mean(0, keepdim=True)
    return float((p * (p.log() - marginal.log())).sum(1).mean().exp())


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Frechet distance between Gaussians fitted to two feature sets (n, d) and (m, d).

    |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1^(1/2) S2 S1^(1/2))^(1/2)), real and finite for singular
    covariances too, which are unbiased (n - 1). Raises `InvalidArgument` unless n, m >= 2 and all
    is finite. Source: Dowson & Landau (1982); Heusel et al. (2017).
    """
    shapes = tuple(first.shape), tuple(second.shape)
    good = min(len(first), len(second)) >= 2 and first.shape[1:] == second.shape[1:]
    require(good, "features", shapes, "(n, d) and (m, d) with n, m >= 2", "more images")
    good = bool(first.isfinite().all() and second.isfinite().all())
    require(good, "features", "NaN or infinity", "finite", "finite images")
    a, b = first.double(), second.double()
    cov_a, cov_b = a.T.cov(), b.T.cov()
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    gap = (a.mean(0) - b.mean(0)).square().sum()
    return max(0.0, float(gap + cov_a.trace() + cov_b.trace() - 2 * cross))


def precision_recall(real: Tensor, made: Tensor, neighbors: int = 3) -> tuple[float, float]:
    """Share of `made` (m, d) inside the manifold of `real` (n, d), and the other way round.

    A manifold is the union of balls that reach from each point to its k-th neighbor, k =
    `neighbors`, or to the farthest of fewer. Source: Kynkaanniemi et al. (2019).
    """

    def covered(points: Tensor, manifold: Tensor) -> float:
        k = min(neighbors + 1, len(manifold))  # the nearest is the point itself
        radius = _distances(manifold, manifold).kthvalue(k, dim=1).values
        inside = _distances(points, manifold) <= radius[None, :]
        return float(inside.any(1).double().mean())

    return covered(made.double(), real.double()), covered(real.double(), made.double())


def class_distance(images: Tensor, labels: Tensor) -> float | None:
    """Mean pixel distance between the first 300 images of a class, averaged over classes. Ours."""
    values = []
    for label in labels.unique():
        flat = to_floats(images[labels == label][:300]).flatten(1)
        if len(flat) > 1:
            values.append(torch.pdist(flat).mean())
    return float(torch.stack(values).mean()) if values else None


def nearest_distance(images: Tensor, records: Tensor) -> float:
    """Median pixel distance to the nearest of `records`; small values suggest copying. Ours."""
    flat, size = to_floats(images).flatten(1), at_once(records.shape[1:], 4096)
    least = flat.new_full((len(flat),), math.inf)
    nearest = torch.zeros(len(flat), dtype=torch.int64)  # place of the record
    for start in range(0, len(records), size):  # all at once takes as much memory as training
        block = to_floats(records[start : start + size]).flatten(1)
        distance, place = torch.cdist(flat, block).min(1)  # (n,)
        closer = distance < least
        least[closer], nearest[closer] = distance[closer], start + place[closer]
    # Not from cdist, whose fast path rounds: an exact copy must come out at 0.
    pairs = zip(flat.split(size), nearest.split(size), strict=True)
    gaps = (
        (some - to_floats(records[rows]).flatten(1)).double().norm(dim=1) for some, rows in pairs
    )
    return float(torch.cat([*gaps]).median())


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Pairwise Euclidean distances (n, m), exactly 0 between equal rows."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def _rows(size: int, count: int, seed: int) -> Tensor:
    """Seeded choice of `count` of `size` rows."""
    return torch.randperm(size, generator=stream(seed, "rows", size))[:count]


def subset(data: ImageData, count: int, seed: int) -> ImageData:
    """The `count` images that are judged of a set, by a public random choice; all, if it has fewer."""
    if len(data.labels) <= count:
        return data
    rows = _rows(len(data.labels), count, seed)
    return data.at(rows)
