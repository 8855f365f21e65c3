"""What a run was made with: versions, hardware in words, and the commit of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("dpgen-core", "torch", "torchvision", "opacus", "dp-accounting", "numpy")


def provenance(device: torch.device) -> dict[str, Any]:
    """Versions, device, cores, threads and commit, JSON-ready; nothing about data or user."""
    versions = {name: version(name) for name in _PACKAGES}
    return {
        "versions": versions | {"python": platform.python_version()},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "commit": commit(),
    }


def commit() -> str | None:
    """Commit of the code, with a mark if it was edited; None outside a repository."""
    command, here = ["git", "describe", "--always", "--dirty", "--exclude=*"], Path(__file__).parent
    try:
        shown = subprocess.run(command, cwd=here, capture_output=True, text=True)
    except OSError:  # no git
        return None
    return shown.stdout.strip() or None
