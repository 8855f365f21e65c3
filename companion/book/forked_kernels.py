"""Kernels for the book's notebooks, forked from a process that has the slow imports behind it.

A kernel is the same program either way. Started afresh it spends longer on imports than most
notebooks on their own work.
"""

from __future__ import annotations

import os
import sys
from multiprocessing.process import BaseProcess
from typing import Any

import matplotlib
from jupyter_client.manager import AsyncKernelManager

from companion.studies.fork_server import fork_server

_INLINE = "module://matplotlib_inline.backend_inline"


def _become_kernel(arguments: list[str], cwd: str, environment: dict[str, str]) -> None:
    from ipykernel.kernelapp import IPKernelApp

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    # A kernel started afresh names its backend in the environment, which matplotlib reads when it is
    # imported; here it is there already, and would draw figures that no page shows.
    matplotlib.rcParams["backend"] = environment.get("MPLBACKEND", _INLINE)
    # It ends when the process that it was forked from does, and that one with who asked for it.
    IPKernelApp.launch_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])


class _Forked:
    """As much of `subprocess.Popen` as the provisioner asks for."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, signum: int) -> None:
        if self.pid is not None and self.poll() is None:
            os.kill(self.pid, signum)


class ForkedKernelManager(AsyncKernelManager):
    """Starts kernels by a fork; afresh on macOS, whose libraries do not survive one."""

    async def _async_launch_kernel(self, kernel_cmd: list[str], **keywords: Any) -> None:
        if sys.platform == "darwin":
            await super()._async_launch_kernel(kernel_cmd, **keywords)
            return
        assert kernel_cmd[:3] == [sys.executable, "-m", "ipykernel_launcher"]
        arguments = (kernel_cmd[3:], keywords.get("cwd") or os.getcwd(), keywords["env"])
        process = fork_server().Process(target=_become_kernel, args=arguments)
        process.start()
        self.provisioner.process = _Forked(process)  # type: ignore[union-attr]
