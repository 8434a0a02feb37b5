"""What tests measured is told at the end, whichever process ran them."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the property `figures` of every test that has one."""
    told = [
        f"{figures}"
        for report in terminalreporter.getreports("passed")
        for name, figures in report.user_properties
        if name == "figures" and report.when == "call"
    ]
    if told:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(told))
