"""Every setting of a run: what there is, what it means, how a budget becomes noise."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.config.budget import LEARNERS as LEARNERS
    from dpgen_core.config.budget import calibrated as calibrated
    from dpgen_core.config.make import make_config as make_config
    from dpgen_core.config.presets import method_names as method_names
    from dpgen_core.config.schema import ExperimentConfig as ExperimentConfig

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "budget": ["LEARNERS", "calibrated"],
        "make": ["make_config"],
        "presets": ["method_names"],
        "schema": ["ExperimentConfig"],
    },
)
