"""One platform per worker for tests that only need their own tenant."""

import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.ssh_keys import KeyRing, make_key
from tests.kit.two_servers import Installation, running_installation


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """SSH keys made by ssh-keygen, one of each kind."""
    return KeyRing(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """`artcafe up`, for everybody who brings a tenant."""
    with running_platform(tmp_path_factory.mktemp("platform") / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Two servers on one NATS and one store, for everybody who brings a tenant and ends neither."""
    async with running_installation(tmp_path_factory.mktemp("installation")) as running:
        yield running


@pytest.fixture
def tenant(platform: RunningPlatform) -> str:
    """A tenant of this test alone."""
    name = f"t{secrets.token_hex(6)}"
    platform.make_tenant(name, allow_client_challenge=True)
    return name


@pytest.fixture
def new_key(tmp_path: Path) -> Callable[[], Path]:
    """Fresh Ed25519 keys: a key belongs to one agent of a tenant."""
    numbers = itertools.count()
    return lambda: make_key(tmp_path, name=f"key{next(numbers)}")


@pytest.fixture
def new_keys(tmp_path: Path) -> Callable[[str], Path]:
    """A fresh key of a name."""
    return lambda name: make_key(tmp_path, name=name)
