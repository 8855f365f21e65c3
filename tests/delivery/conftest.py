"""After the tests, a table of what became of each kind of folder in `test_common_folders`."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """From the tests' properties, which reach this process from any worker."""
    rows = [
        (told["folder"], told.get("right", ""), told.get("became", report.outcome))
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "folder" in (told := dict(getattr(report, "user_properties", ())))
    ]
    if not rows:
        return
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    terminalreporter.section("folders that people have, what is right, what became of them")
    for folder, right, became in sorted(rows):
        terminalreporter.write_line(f"{folder:{wide[0]}}  {right:{wide[1]}}  {became}")
