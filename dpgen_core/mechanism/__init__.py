"""What leaves the private side: clip, remember what was cut off, add noise, release."""

import lazy_loader

_NAMES = {
    "clipping": ["clip_contributions", "clip_rows"],
    "efsgd": ["EFSGD"],
    "error_memory": ["ErrorMemory"],
    "release": ["rounded", "sanitize"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_NAMES)
