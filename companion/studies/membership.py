"""Black-box audit: can one tell from synthetic images which records were trained on?

A public permutation draws half of a data set's records for training; the other half, from the same
source, is not used. In random pairs, one record of each half, every pair hides one fair bit: which
of the two was used. Exchanging them is a replacement, so a pair is a canary in the sense of one-run
auditing. Pairs of planted outliers are added, pictures of noise with a random label, of which one
each replaces a member: no other record resembles an outlier, so it is the easiest one to detect.

The auditor sees synthetic images and labels only. A record's score rises as the distance to its
nearest synthetic image of the same label falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm, wilcoxon
from torch import Tensor

from companion.studies.canaries import one_run_epsilon
from companion.studies.train_alone import train_alone
from dpgen_core.checks import check_int, require
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.streams import stream

_MODES = 14  # frequencies that are compared; higher ones are noise


@dataclass(frozen=True)
class Membership:
    """What the synthetic images reveal about the training records.

    Attributes:
        auc: area under the ROC curve of members against non-members; 0.5 is guessing.
        auc_low: lower end of its 99 % interval (DeLong).
        auc_high: upper end.
        pairs: natural pairs.
        pairs_right: pairs in which the member scored higher.
        pairs_epsilon: the lower bound on epsilon that follows (one run, all pairs guessed).
        outliers: planted pairs.
        outliers_right: planted pairs in which the member scored higher.
        outliers_epsilon: the lower bound on epsilon that follows.
        member_distance: median distance of a member to the nearest synthetic image.
        other_distance: the same for non-members.
        copying_p_value: one-sided signed-rank test that members lie nearer than their partners.
    """

    auc: float
    auc_low: float
    auc_high: float
    pairs: int
    pairs_right: int
    pairs_epsilon: float
    outliers: int
    outliers_right: int
    outliers_epsilon: float
    member_distance: float
    other_distance: float
    copying_p_value: float


def audit_membership(
    config: ExperimentConfig,
    pool: ImageData,
    *,
    pairs: int = 5000,
    outliers: int = 200,
    synthetic: int = 20_000,
    copies: int = 0,
    seed: int = 0,
    device: str = "cpu",
) -> Membership:
    """Train on half of `pool` with planted outliers, sample, and guess the training records.

    Args:
        config: of the run; ``num_records`` must be half of the pool.
        pool: at least 2 N records.
        pairs: natural pairs to guess.
        outliers: planted pairs.
        synthetic: synthetic images the auditor sees.
        copies: planted fault: this many synthetic images are replaced by members.
        seed: of pairs and outliers.
        device: where to train.

    Raises:
        InvalidArgument: the pool is too small, or too many pairs are asked for.
    """
    count = config.privacy.num_records
    require(
        len(pool.images) >= 2 * count,
        "pool",
        len(pool.images),
        f"at least twice num_records = {count}",
        f"num_records={len(pool.images) // 2}",
    )
    check_int("outliers", outliers, low=0, high=count // 2, fix="outliers=200")
    check_int("pairs", pairs, low=1, high=count - outliers, fix="pairs=5000")
    order = torch.randperm(len(pool.images), generator=stream(seed, "membership"))
    members, others = order[:count], order[count : 2 * count]
    images, labels = pool.images[members].clone(), pool.labels[members].clone()
    planted, planted_labels = _outliers(outliers, config, seed)
    if outliers:
        images[-outliers:], labels[-outliers:] = planted[:outliers], planted_labels[:outliers]
    data = ImageData(pool.name, images, labels, pool.class_names)

    fake_labels = torch.arange(synthetic) % config.num_classes
    fakes = train_alone(config, data, device=torch.device(device)).sample(fake_labels)
    check_int("copies", copies, low=0, high=min(synthetic, count), fix="copies=0")
    fakes[:copies], fake_labels[:copies] = images[:copies], labels[:copies]
    basis = FrequencyBasis(config.image_shape, _MODES)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return nearest_distance(basis.encode(x), y, basis.encode(fakes), fake_labels)

    inside = distance(images[:pairs], labels[:pairs])
    outside = distance(pool.images[others[:pairs]], pool.labels[others[:pairs]])
    strange = distance(planted, planted_labels) if outliers else torch.zeros(0)
    auc, low, high = delong(-inside.numpy(), -outside.numpy())
    right = int((inside < outside).sum())
    odd = int((strange[:outliers] < strange[outliers:]).sum())
    return Membership(
        auc=auc,
        auc_low=low,
        auc_high=high,
        pairs=pairs,
        pairs_right=right,
        pairs_epsilon=one_run_epsilon(right, pairs, pairs, delta=config.privacy.delta),
        outliers=outliers,
        outliers_right=odd,
        outliers_epsilon=one_run_epsilon(odd, outliers, outliers, delta=config.privacy.delta)
        if outliers
        else 0.0,
        member_distance=inside.median().item(),
        other_distance=outside.median().item(),
        copying_p_value=float(wilcoxon(inside, outside, alternative="less").pvalue),
    )


def nearest_distance(codes: Tensor, labels: Tensor, fakes: Tensor, fake_labels: Tensor) -> Tensor:
    """Distance of each record to the nearest synthetic image of its label, (n,).

    Args:
        codes: records (n, d).
        labels: (n,).
        fakes: synthetic codes (f, d).
        fake_labels: (f,); every label of `labels` must occur.
    """
    result = codes.new_empty(len(codes))
    for label in labels.unique().tolist():
        own = fakes[fake_labels == label]
        where = (labels == label).nonzero()[:, 0]
        for rows in where.split(1000):
            result[rows] = torch.cdist(codes[rows], own).amin(1)
    return result


def delong(
    positive: np.ndarray, negative: np.ndarray, confidence: float = 0.99
) -> tuple[float, ...]:
    """Area under the ROC curve with its DeLong interval.

    Args:
        positive: scores of members.
        negative: scores of non-members.
        confidence: two-sided.

    Returns:
        (area, lower end, upper end).

    Example:
        >>> delong(np.array([3.0, 2.0]), np.array([1.0, 0.0]))
        (1.0, 1.0, 1.0)
    """
    ranked_n, ranked_p = np.sort(negative), np.sort(positive)

    def share_below(scores: np.ndarray, among: np.ndarray) -> np.ndarray:
        strictly = np.searchsorted(among, scores, "left")
        at_most = np.searchsorted(among, scores, "right")
        return (strictly + at_most) / (2 * len(among))

    of_positive = share_below(positive, ranked_n)  # chance to beat a random negative
    of_negative = 1 - share_below(negative, ranked_p)
    area = float(of_positive.mean())
    variance = of_positive.var(ddof=1) / len(positive) + of_negative.var(ddof=1) / len(negative)
    reach = float(norm.ppf((1 + confidence) / 2) * np.sqrt(variance))
    return area, max(0.0, area - reach), min(1.0, area + reach)


def _outliers(pairs: int, config: ExperimentConfig, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures of uniform noise: all members first, then their partners of the same label."""
    generator = stream(seed, "outliers")
    images = torch.rand(2 * pairs, *config.image_shape, generator=generator)
    return images, torch.randint(config.num_classes, (pairs,), generator=generator).repeat(2)
