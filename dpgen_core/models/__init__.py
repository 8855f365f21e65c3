"""Generators and critics, and the critics' gradients written out."""

import lazy_loader

_NAMES = {
    "appearance": ["AppearanceNoise"],
    "critics": ["ConvCritic", "MLPCritic", "build_critic"],
    "generators": ["ConvGenerator", "FramedGenerator", "RefinerGenerator"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_NAMES)
