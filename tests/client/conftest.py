from collections.abc import Iterator

import pytest

from tests.kit.rest_stub import RestStub, rest_stub


@pytest.fixture(scope="session")
def running() -> Iterator[RestStub]:
    with rest_stub() as stub:
        yield stub


@pytest.fixture
def stub(running: RestStub) -> RestStub:
    """A stand-in platform that holds nothing yet."""
    running.forget()
    return running
