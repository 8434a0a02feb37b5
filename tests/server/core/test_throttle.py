"""The plan's API calls a minute."""

import pytest

from artcafe.server.core.throttle import Throttle
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import ACME, OTHER, Installation


async def refused(throttle: Throttle) -> float:
    """The seconds to wait that the next call is told."""
    with pytest.raises(ArtcafeError) as error:
        await throttle.api_call(ACME)
    assert error.value.code is Code.rate_limited
    assert error.value.retry_after is not None
    return error.value.retry_after


async def test_a_minutes_worth_may_come_at_once_and_then_it_drips() -> None:
    installation = await Installation.open()
    await installation.make_tenant(ACME, subscription_tier="starter")
    throttle = Throttle(installation.process.directory, installation.clock)

    for _ in range(100):
        await throttle.api_call(ACME)

    assert await refused(throttle) == pytest.approx(0.6)
    installation.clock.advance(0.61)
    await throttle.api_call(ACME)
    await refused(throttle)


async def test_each_tenant_has_its_own_and_enterprise_has_no_limit() -> None:
    installation = await Installation.open()
    await installation.make_tenant(ACME, subscription_tier="starter")
    await installation.make_tenant(OTHER, "nina")
    throttle = Throttle(installation.process.directory, installation.clock)
    for _ in range(100):
        await throttle.api_call(ACME)

    for _ in range(300):
        await throttle.api_call(OTHER)

    await refused(throttle)


async def test_another_plan_counts_at_once() -> None:
    installation = await Installation.open()
    await installation.make_tenant(ACME, subscription_tier="starter")
    throttle = Throttle(installation.process.directory, installation.clock)
    for _ in range(100):
        await throttle.api_call(ACME)

    await installation.operate(plan="growth")

    await throttle.api_call(ACME)


async def test_an_override_of_the_limit_counts_in_its_place() -> None:
    installation = await Installation.open()
    await installation.make_tenant(ACME, subscription_tier="starter")
    throttle = Throttle(installation.process.directory, installation.clock)
    await installation.operate(limits={"api_calls_per_minute": 2})
    for _ in range(2):
        await throttle.api_call(ACME)
    await refused(throttle)

    await installation.operate(limits={"api_calls_per_minute": None})

    for _ in range(300):
        await throttle.api_call(ACME)
