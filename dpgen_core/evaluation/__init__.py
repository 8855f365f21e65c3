"""How good synthetic images are. Computed from private records: outside the guarantee."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.evaluation.classifiers import train_classifier as train_classifier
    from dpgen_core.evaluation.inception import fid as fid
    from dpgen_core.evaluation.metrics import EvaluationSettings as EvaluationSettings
    from dpgen_core.evaluation.metrics import evaluate as evaluate

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "classifiers": ["train_classifier"],
        "inception": ["fid"],
        "metrics": ["EvaluationSettings", "evaluate"],
    },
)
