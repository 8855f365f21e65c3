"""Generators and critics, and the critics' gradients written out."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.models.appearance import AppearanceNoise as AppearanceNoise
    from dpgen_core.models.critics import ConvCritic as ConvCritic
    from dpgen_core.models.critics import MLPCritic as MLPCritic
    from dpgen_core.models.critics import build_critic as build_critic
    from dpgen_core.models.generators import ConvGenerator as ConvGenerator
    from dpgen_core.models.generators import FramedGenerator as FramedGenerator
    from dpgen_core.models.generators import RefinerGenerator as RefinerGenerator

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "appearance": ["AppearanceNoise"],
        "critics": ["ConvCritic", "MLPCritic", "build_critic"],
        "generators": ["ConvGenerator", "FramedGenerator", "RefinerGenerator"],
    },
)
