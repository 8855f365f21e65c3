"""The one-shot release: class statistics in the frequency domain, ready to sample from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "gaussian": ["FrequencyPrior", "prior_events", "release_prior"],
        "mixture": ["affordable_cells", "split_classes"],
    },
)
