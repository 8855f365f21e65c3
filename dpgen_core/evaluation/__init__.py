"""How good synthetic images are. Computed from private records: outside the guarantee."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "classifiers": ["train_classifier"],
        "inception": ["fid"],
        "metrics": ["EvaluationSettings", "evaluate"],
    },
)
