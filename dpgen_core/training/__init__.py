"""The rounds: owners or one critic learn, a session keeps the books."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "critic_trainer": ["CriticTrainer"],
        "owner_trainer": ["OwnerTrainer"],
        "ranks": ["Ranks", "connected"],
        "report": ["RoundReport", "Trainer"],
        "session": ["Session", "make_prior"],
        "workspace": ["Workspace"],
    },
)
