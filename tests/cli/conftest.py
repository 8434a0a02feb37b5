from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub, rest_stub


@pytest.fixture(scope="session")
def platform() -> Iterator[RestStub]:
    with rest_stub() as stub:
        yield stub


@pytest.fixture
def stub(platform: RestStub) -> RestStub:
    """A stand-in platform that holds nothing yet."""
    platform.forget()
    return platform


@pytest.fixture
def artcafe(stub: RestStub, tmp_path: Path) -> CommandLine:
    """The command line on the machine where the stand-in runs."""
    line = CommandLine(tmp_path, stub.url)
    line.keep_secret()
    return line
