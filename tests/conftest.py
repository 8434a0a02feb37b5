"""Tests run on what was compiled last; what they measured is told at the end, whichever process ran them."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SOURCE = Path(__file__).parents[1] / "src"
WHOLE = Path(__file__).parent / "e2e"


def pytest_configure() -> None:
    """Run nothing on modules that were compiled from other sources than those that are read; judge no
    generated case by how long it took, which is up to whatever else the machine does; and take SIGINT, which
    a shell lets its background jobs ignore, for tests send it to themselves and to their children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    for compiled in SOURCE.rglob("*.so"):
        module = compiled.with_name(compiled.name.partition(".")[0])
        sources = [module.with_suffix(".py"), module.with_suffix(".pxd")]
        if not all(each.exists() and each.stat().st_mtime <= compiled.stat().st_mtime for each in sources):
            pytest.exit(f"{module.relative_to(SOURCE)} changed since it was compiled: make setup", 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: WHOLE not in item.path.parents)


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
