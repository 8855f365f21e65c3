"""What a run was made with: versions, hardware in words, and the commit of the code."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("torch", "torchvision", "opacus", "dp-accounting", "numpy")


def provenance(device: torch.device) -> dict[str, Any]:
    """Versions, device, cores, threads and commit, JSON-ready; nothing about the data or the user.

    Args:
        device: where the run trained.
    """
    return {
        "versions": {name: version(name) for name in _PACKAGES}
        | {"python": sys.version.split()[0]},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "commit": commit(),
    }


def commit() -> str | None:
    """Commit of the code, with a mark if it was edited; None outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
