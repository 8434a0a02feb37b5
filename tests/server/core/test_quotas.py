"""The monthly quota: what is counted limits, in one process exactly, in several within what they have not
told."""

from datetime import date

import pytest

from artcafe.server.core.quotas import STALE_SECONDS, Quotas, QuotaWarning
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.principal import Human
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import ACME, OTHER, Installation, Process
from tests.kit.outcomes import outcome, refused

QUOTA = 10
NOVEMBER, TODAY = date(2025, 11, 1), date(2025, 11, 24)


class Told(list[tuple[str, int, int]]):
    """Who was warned, with what was used and the percentage."""

    async def __call__(self, tenant: TenantId, warning: QuotaWarning) -> None:
        assert (warning.limit, warning.resets_on) == (QUOTA, "2025-12-01")
        self.append((tenant, warning.used, warning.percent))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def limited(installation: Installation, olivia: Human) -> Human:
    """The owner of a tenant with a small quota."""
    await installation.operate(limits={"messages_per_month": QUOTA})
    return olivia


async def publish(process: Process, human: Human, times: int) -> None:
    for _ in range(times):
        await process.messages.publish(human, "tasks", b"1")


async def test_a_quota_is_used_to_the_last_message_and_no_further(
    first: Process, limited: Human, told: Told
) -> None:
    await publish(first, limited, 1)
    await first.quotas.look(told)

    await publish(first, limited, QUOTA - 1)

    with refused(Code.quota_exceeded):
        await publish(first, limited, 1)
    await first.quotas.look(told)
    with refused(Code.quota_exceeded):
        await publish(first, limited, 1)
    assert await first.meter.messages(ACME, NOVEMBER, TODAY) == QUOTA, "what is refused is not counted"


async def test_what_other_processes_counted_is_used(
    installation: Installation, first: Process, limited: Human, told: Told
) -> None:
    second = installation.start("p2")
    await publish(first, limited, 6)
    await publish(second, limited, 1)
    await first.meter.flush()

    await second.quotas.look(told)

    await publish(second, limited, 3)
    with refused(Code.quota_exceeded):
        await publish(second, limited, 1)


async def test_the_less_is_left_the_sooner_it_is_looked_up_again(
    installation: Installation, first: Process, limited: Human, told: Told
) -> None:
    second = installation.start("p2")
    taken = [0, 0]

    for _ in range(QUOTA):
        for number, process in enumerate((first, second)):
            if await outcome(process.messages.publish(limited, "tasks", b"1")) is not Code.quota_exceeded:
                taken[number] += 1
            await process.meter.flush()
            await process.quotas.look(told)

    assert QUOTA <= sum(taken) <= QUOTA + 1, "one may take what the other has just taken"


async def test_the_next_month_begins_anew(
    installation: Installation, first: Process, limited: Human, told: Told
) -> None:
    await publish(first, limited, QUOTA)
    await first.quotas.look(told)
    assert await outcome(publish(first, limited, 1)) is Code.quota_exceeded
    installation.clock.advance(7 * 86_400)

    await first.quotas.look(Told())

    await publish(first, limited, QUOTA)


async def test_another_quota_counts_at_the_next_look(
    installation: Installation, first: Process, limited: Human, told: Told
) -> None:
    await publish(first, limited, QUOTA)
    await first.quotas.look(told)
    assert await outcome(publish(first, limited, 1)) is Code.quota_exceeded

    await installation.operate(limits={"messages_per_month": None})
    await first.quotas.look(told)

    await publish(first, limited, 5 * QUOTA)


async def test_a_change_that_was_not_heard_counts_after_a_while(
    installation: Installation, first: Process, limited: Human, told: Told
) -> None:
    deaf = Quotas(first.meter.messages, first.directory, installation.clock, 0)
    quota = deaf.of(ACME)
    await publish(first, limited, QUOTA)
    await deaf.look(told)
    await installation.operate(limits={"messages_per_month": None})

    await deaf.look(told)
    with refused(Code.quota_exceeded):
        quota.take()
    installation.clock.advance(STALE_SECONDS)
    await deaf.look(told)

    quota.take()


async def test_the_grace_is_taken_beyond_the_quota(
    installation: Installation, first: Process, limited: Human, told: Told
) -> None:
    quotas = Quotas(first.meter.messages, first.directory, installation.clock, 20)
    quota = quotas.of(ACME)
    await publish(first, limited, QUOTA)

    await quotas.look(told)

    quota.take()
    quota.take()
    with refused(Code.quota_exceeded):
        quota.take()
    assert told == [(ACME, 10, 100)]


async def test_what_cannot_be_told_is_told_later(first: Process, limited: Human, told: Told) -> None:
    async def away(tenant: TenantId, warning: QuotaWarning) -> None:
        raise ArtcafeError(Code.unavailable)

    await publish(first, limited, 8)
    assert await outcome(first.quotas.look(away)) is Code.unavailable
    await publish(first, limited, 1)
    await first.quotas.look(told)

    assert told == [(ACME, 9, 80)]


async def test_a_tenant_is_warned_at_eighty_and_a_hundred_percent_once(
    first: Process, limited: Human, told: Told
) -> None:
    for amount in (7, 1, 1, 1):
        await publish(first, limited, amount)
        await first.quotas.look(told)
        await first.quotas.look(told)

    assert told == [(ACME, 8, 80), (ACME, 10, 100)]


async def test_no_other_tenant_feels_it(
    installation: Installation, first: Process, limited: Human, told: Told
) -> None:
    nina = await installation.make_tenant(OTHER, "nina")
    await publish(first, limited, QUOTA)
    await first.quotas.look(told)

    await publish(first, nina, 5 * QUOTA)

    assert [tenant for tenant, *_ in told] == [ACME]
