"""How good synthetic images are. Computed from private records: outside the guarantee."""

import lazy_loader

_NAMES = {
    "classifiers": ["train_classifier"],
    "inception": ["fid"],
    "judging": ["judge_set"],
    "metrics": ["EvaluationSettings", "evaluate"],
    "protocols": ["PROTOCOLS", "DeepProtocol"],
    "stored": ["judge_stored"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_NAMES)
