"""The one-shot release: class statistics in the frequency domain, ready to sample from."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.prior.gaussian import FrequencyPrior as FrequencyPrior
    from dpgen_core.prior.gaussian import prior_events as prior_events
    from dpgen_core.prior.gaussian import release_prior as release_prior
    from dpgen_core.prior.mixture import affordable_cells as affordable_cells
    from dpgen_core.prior.mixture import split_classes as split_classes

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "gaussian": ["FrequencyPrior", "prior_events", "release_prior"],
        "mixture": ["affordable_cells", "split_classes"],
    },
)
