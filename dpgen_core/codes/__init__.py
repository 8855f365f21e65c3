"""Public coordinates of images: frequencies, and position, size and slant of each image."""

from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.codes.frames import FramedBasis

__all__ = ["FramedBasis", "FrequencyBasis"]
