"""The rounds: owners or one critic learn, a session keeps the books."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.training.critic_trainer import CriticTrainer as CriticTrainer
    from dpgen_core.training.owner_trainer import OwnerTrainer as OwnerTrainer
    from dpgen_core.training.ranks import Ranks as Ranks
    from dpgen_core.training.ranks import connected as connected
    from dpgen_core.training.report import RoundReport as RoundReport
    from dpgen_core.training.report import Trainer as Trainer
    from dpgen_core.training.session import Session as Session
    from dpgen_core.training.session import make_prior as make_prior
    from dpgen_core.training.workspace import Workspace as Workspace

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
