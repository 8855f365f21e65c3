"""Public coordinates of images: frequencies, and each image's own frame."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.codes.basis import FrequencyBasis as FrequencyBasis
    from dpgen_core.codes.frames import FramedBasis as FramedBasis

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "basis": ["FrequencyBasis"],
        "frames": ["FramedBasis"],
    },
)
