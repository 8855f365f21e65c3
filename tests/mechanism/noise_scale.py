"""Whether noise has the scale that it should have."""

from __future__ import annotations

from scipy import stats
from torch import Tensor


def noise_p_value(release: Tensor, std: float) -> float:
    """Probability of a sample variance this far from std^2 when the noise is N(0, std^2)."""
    count = release.numel()
    statistic = float(release.double().square().sum()) / std**2
    return 2 * min(stats.chi2.cdf(statistic, count), stats.chi2.sf(statistic, count))
