"""Named data sets and your own folders of images, checked and loaded as tensors."""

import lazy_loader

_NAMES = {"glyphs": ["draw_glyphs"], "sets": ["DATASETS", "ImageData", "available", "load"]}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_NAMES)
