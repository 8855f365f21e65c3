"""A process that has the slow imports behind it, and from which others are forked.

Started afresh, each would import PyTorch, SciPy and Matplotlib anew, which takes seconds. A fork of
the process that asks would not do: it would not copy the threads of PyTorch, which may be in use.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext
from unittest.mock import patch

# Imports alone, which start no threads: those would not survive a fork. The notebooks' are among
# them, since a process has one server, which imports what it was first told to.
SLOW_IMPORTS = [
    *("ipykernel.kernelapp", "jinja2", "matplotlib.pyplot"),
    *("opacus", "scipy.stats", "torch._dynamo", "torchvision"),
    *("companion.book.pages", "dpgen_core.accounting.pld", "dpgen_core.experiment"),
]

_STARTING = threading.Lock()  # of the environment, while it is changed


def fork_server() -> ForkServerContext | SpawnContext:
    """A context of `multiprocessing` whose processes are forked from the server; it is started here.

    On macOS, whose libraries do not survive a fork, they start afresh.
    """
    if sys.platform == "darwin":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(SLOW_IMPORTS)
    # It must import the installed packages. Started as it is, it would look in the current folder
    # first, which may hold a folder of the same name.
    with _STARTING, patch.dict(os.environ, {"PYTHONSAFEPATH": "1"}):
        forkserver.ensure_running()
    return context
