"""The REST API over an installation in memory."""

import httpx
import pytest

from tests.kit.api import Api, furnished


@pytest.fixture
async def api() -> Api:
    return await furnished()


@pytest.fixture
def olivia(api: Api) -> httpx.AsyncClient:
    """The owner of `acme`."""
    return api.signed_in("olivia")


@pytest.fixture
def vera(api: Api) -> httpx.AsyncClient:
    """A viewer of `acme`."""
    return api.signed_in("vera")


@pytest.fixture
def anyone(api: Api) -> httpx.AsyncClient:
    """Nobody in particular."""
    return api.client()
