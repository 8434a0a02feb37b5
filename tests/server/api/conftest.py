"""The REST API over an installation in memory."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from tests.kit.api import Api, furnished


@pytest.fixture(scope="session")
def application() -> FastAPI:
    """One for all tests: nothing in it outlives a request but the use cases, which each test brings."""
    return asyncio.run(furnished()).app


@pytest.fixture
async def api(application: FastAPI) -> Api:
    return await furnished(application)


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
