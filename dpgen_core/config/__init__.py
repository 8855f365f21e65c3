"""Every setting of a run: what there is, what it means, how a budget becomes noise."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "budget": ["LEARNERS", "calibrated"],
        "make": ["make_config"],
        "presets": ["method_names"],
        "schema": ["ExperimentConfig"],
    },
)
