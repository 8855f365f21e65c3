"""The one-shot release: class statistics in the frequency domain, ready to sample from."""

import lazy_loader

_NAMES = {
    "gaussian": ["FrequencyPrior", "prior_events", "release_prior"],
    "mixture": ["affordable_cells", "split_classes"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_NAMES)
