"""What leaves the private side: clip, remember what was cut off, add noise, release."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.mechanism.clipping import clip_contributions as clip_contributions
    from dpgen_core.mechanism.clipping import clip_rows as clip_rows
    from dpgen_core.mechanism.efsgd import EFSGD as EFSGD
    from dpgen_core.mechanism.error_memory import ErrorMemory as ErrorMemory
    from dpgen_core.mechanism.release import rounded as rounded
    from dpgen_core.mechanism.release import sanitize as sanitize
    from dpgen_core.mechanism.server_memory import build_efsgd as build_efsgd
    from dpgen_core.mechanism.server_memory import server_event as server_event

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clipping": ["clip_contributions", "clip_rows"],
        "efsgd": ["EFSGD"],
        "error_memory": ["ErrorMemory"],
        "release": ["rounded", "sanitize"],
        "server_memory": ["build_efsgd", "server_event"],
    },
)
