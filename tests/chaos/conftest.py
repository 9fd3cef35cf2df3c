"""Says in the run's summary how honest the power cuts were on this machine."""

from __future__ import annotations

import pytest

from chaos import cuts


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each way in which power was cut."""
    for line in dict.fromkeys(cuts.told):
        terminalreporter.write_line(line)
