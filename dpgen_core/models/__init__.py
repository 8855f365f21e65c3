"""Generators and critics, and the critics' gradients written out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "appearance": ["AppearanceNoise"],
        "critics": ["ConvCritic", "MLPCritic", "build_critic"],
        "generators": ["ConvGenerator", "FramedGenerator", "RefinerGenerator"],
    },
)
