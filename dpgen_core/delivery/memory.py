"""The most memory that `synthesize` needs, counted from what is in memory at the same time.

For methods without rounds, whose training keeps codes alone; with rounds, the owners' critics come on
top. What its networks keep is counted; PyTorch's own size and the gaps between blocks were measured.
"""

from __future__ import annotations

import math

from dpgen_core.codes.basis import BLOCK, MOST_VALUES
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.evaluation.classifiers import BATCH, JUDGED_AT_ONCE, LARGEST_SIDE
from dpgen_core.pixels import USUAL_VALUES, at_once

_PROGRAM = 0.8e9  # Python, PyTorch and what they load
_BETWEEN = 1.1  # what the allocator leaves between blocks
_FLOAT = 4


def gigabytes(config: ExperimentConfig, files: int) -> float:
    """Peak memory (GB) of a run of `config` on a folder of so many images."""
    values, judged = math.prod(config.image_shape), config.evaluation
    made = judged.synthetic_records
    width = 1 if values > USUAL_VALUES else _FLOAT  # bytes of a value of what is judged
    read, records = files * values, config.privacy.num_records
    codes = 6 * _FLOAT * records * config.image_shape[0] * config.prior.modes**2
    taken = records if records * values <= MOST_VALUES else BLOCK  # images in floats at once
    learning = read + _FLOAT * taken * values + codes
    stages = [2 * read, learning, read + made * values, 2 * made * values]
    if config.evaluated:
        seen = judged.for_side(config.image_shape[1]).synthetic_records
        kept = (
            read + width * (made + (seen if seen < made else 0)) * values
        )  # the judged are copied
        few = (
            min(judged.neighbor_records, made) * values
        )  # of three sets, and of one in floats, twice
        stages.append(kept + (3 * width + 2 * _FLOAT) * few)
        if width == _FLOAT:
            stages.append(kept + (_FLOAT + 1) * made * values)  # floats on their way to bytes
    scratch = _training(config) if config.evaluated else 0  # kept by PyTorch from the forecast on
    return _BETWEEN * (_PROGRAM + scratch + max(stages)) / 1e9


def _training(config: ExperimentConfig) -> int:
    """Bytes that a classifier takes: its weights, and activations of a batch."""
    channels, side, _ = config.image_shape
    pixels = min(side, LARGEST_SIDE) ** 2  # that it sees
    # Adam's moments, two copies
    weights = 6 * _FLOAT * max(256 * channels * pixels, 128 * 64 * pixels // 16)
    batch = max(2 * BATCH, at_once(config.image_shape, JUDGED_AT_ONCE))  # trained both ways, judged
    return weights + batch * _FLOAT * (32 + 32 + 64) * pixels // 4
