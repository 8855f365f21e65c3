"""Forked kernels see the installed packages, wherever the build was started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat

RUN = """
import papermill
from companion.book.forked_kernels import ForkedKernelManager
options = {"kernel_name": "python3", "progress_bar": False}
papermill.execute_notebook("in.ipynb", "out.ipynb", kernel_manager_class=ForkedKernelManager, **options)
"""


def test_a_folder_of_the_same_name_is_not_taken_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dpgen_core").mkdir()
    code = "import os; os.chdir('elsewhere')\nfrom dpgen_core import epsilon_spent"
    cells = [nbformat.v4.new_code_cell(line) for line in code.splitlines()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "in.ipynb")
    done = subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
