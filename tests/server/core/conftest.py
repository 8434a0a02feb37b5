"""One installation in memory, with a tenant in it."""

import pytest

from artcafe.server.domain.principal import Human
from tests.kit.installation import Installation


@pytest.fixture
async def installation() -> Installation:
    return await Installation.open()


@pytest.fixture
async def olivia(installation: Installation) -> Human:
    """The owner of the tenant `acme`."""
    return await installation.make_tenant()
