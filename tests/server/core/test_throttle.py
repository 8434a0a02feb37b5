"""API calls a minute: the plan's, and a user's outside of any tenant."""

import pytest

from artcafe.server.core.throttle import MAX_BUCKETS, Throttle
from artcafe.server.domain.ids import UserId
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
    throttle = Throttle(installation.process.directory, installation.clock, 5)

    for _ in range(100):
        await throttle.api_call(ACME)

    assert await refused(throttle) == pytest.approx(0.6, abs=0.001)
    installation.clock.advance(0.61)
    await throttle.api_call(ACME)
    await refused(throttle)


async def test_each_tenant_has_its_own_and_enterprise_has_no_limit() -> None:
    installation = await Installation.open()
    await installation.make_tenant(ACME, subscription_tier="starter")
    await installation.make_tenant(OTHER, "nina")
    throttle = Throttle(installation.process.directory, installation.clock, 5)
    for _ in range(100):
        await throttle.api_call(ACME)

    for _ in range(300):
        await throttle.api_call(OTHER)

    await refused(throttle)


async def test_another_plan_counts_at_once() -> None:
    installation = await Installation.open()
    await installation.make_tenant(ACME, subscription_tier="starter")
    throttle = Throttle(installation.process.directory, installation.clock, 5)
    for _ in range(100):
        await throttle.api_call(ACME)

    await installation.operate(plan="growth")

    await throttle.api_call(ACME)


async def test_an_override_of_the_limit_counts_in_its_place() -> None:
    installation = await Installation.open()
    await installation.make_tenant(ACME, subscription_tier="starter")
    throttle = Throttle(installation.process.directory, installation.clock, 5)
    await installation.operate(limits={"api_calls_per_minute": 2})
    for _ in range(2):
        await throttle.api_call(ACME)
    await refused(throttle)

    await installation.operate(limits={"api_calls_per_minute": None})

    for _ in range(300):
        await throttle.api_call(ACME)


class TestUsers:
    async def test_a_minutes_worth_may_come_at_once_and_then_it_drips(self) -> None:
        installation = await Installation.open()
        throttle = Throttle(installation.process.directory, installation.clock, 5)
        for _ in range(5):
            throttle.user_call(UserId("zoe"))

        with pytest.raises(ArtcafeError) as error:
            throttle.user_call(UserId("zoe"))
        assert error.value.code is Code.rate_limited
        assert error.value.retry_after == pytest.approx(12.0)
        throttle.user_call(UserId("ann"))  # Each has its own.
        installation.clock.advance(12.01)
        throttle.user_call(UserId("zoe"))

    async def test_no_number_of_users_takes_more_memory_than_some(self) -> None:
        installation = await Installation.open()
        throttle = Throttle(installation.process.directory, installation.clock, 5)
        for _ in range(5):
            throttle.user_call(UserId("zoe"))

        for number in range(2 * MAX_BUCKETS):
            throttle.user_call(UserId(f"user-{number}"))
            if number % 1000 == 0:  # Who goes on calling is not forgotten.
                with pytest.raises(ArtcafeError):
                    throttle.user_call(UserId("zoe"))

        assert len(throttle._users) <= MAX_BUCKETS
