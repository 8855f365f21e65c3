"""What leaves the private side: clip, remember what was cut off, add noise, release."""

from dpgen_core.mechanism.clipping import clip_contributions, clip_rows
from dpgen_core.mechanism.efsgd import EFSGD
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.mechanism.release import rounded, sanitize
from dpgen_core.mechanism.server_memory import build_efsgd, server_event

__all__ = [
    "EFSGD",
    "ErrorMemory",
    "build_efsgd",
    "clip_contributions",
    "clip_rows",
    "rounded",
    "sanitize",
    "server_event",
]
