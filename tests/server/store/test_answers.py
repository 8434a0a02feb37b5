"""Answers kept under an Idempotency-Key."""

import asyncio

import pytest

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.ports.records import Answer
from artcafe.server.store import addresses as at
from artcafe.server.store.answers import AnswerTable
from artcafe.server.store.item import Put
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.stores import SetClock, new_rev

ACME, OTHER, NONE = TenantId("acme"), TenantId("other"), TenantId("")
ADA, BOB = UserId("ada"), UserId("bob")


async def opened(clock: SetClock | None = None) -> AnswerTable:
    """A table in which two tenants exist."""
    memory = MemoryStore(clock=clock or SetClock(), new_rev=new_rev)
    await memory.open()
    for tenant in (ACME, OTHER):
        await memory.put(Put(at.tenant(tenant), at.META, {}))
    return AnswerTable(Table(memory))


async def test_a_key_is_taken_once() -> None:
    answers = await opened()

    taken = await asyncio.gather(*(answers.claim(ACME, ADA, "k", f"d{n}", 2_000_000_000) for n in range(5)))

    assert taken.count(None) == 1
    first = f"d{taken.index(None)}"
    assert {answer for answer in taken if answer is not None} == {Answer(first, None)}


async def test_the_answer_is_found_by_the_same_user_in_the_same_tenant_alone() -> None:
    answers = await opened()
    for tenant, user in ((ACME, ADA), (ACME, BOB), (NONE, ADA), (OTHER, ADA)):
        assert await answers.claim(tenant, user, "k", "d", 2_000_000_000) is None

    await answers.keep(ACME, ADA, "k", Answer("d", "sealed"), 2_000_000_000)

    assert await answers.claim(ACME, ADA, "k", "e", 2_000_000_000) == Answer("d", "sealed")
    assert await answers.claim(ACME, BOB, "k", "e", 2_000_000_000) == Answer("d", None)
    assert await answers.claim(NONE, ADA, "k", "e", 2_000_000_000) == Answer("d", None)


async def test_a_key_that_was_given_back_or_expired_is_free() -> None:
    clock = SetClock()
    answers = await opened(clock)
    await answers.claim(ACME, ADA, "k", "d", int(clock.now) + 60)

    await answers.release(ACME, ADA, "k")
    assert await answers.claim(ACME, ADA, "k", "e", int(clock.now) + 60) is None

    clock.now += 61
    assert await answers.claim(ACME, ADA, "k", "f", int(clock.now) + 60) is None


async def test_nothing_is_kept_of_a_tenant_that_is_gone() -> None:
    gone = TenantId("gone")
    answers = await opened()

    with pytest.raises(ArtcafeError) as refused:
        await answers.claim(gone, ADA, "k", "d", 2_000_000_000)
    await answers.keep(gone, ADA, "k", Answer("d", "sealed"), 2_000_000_000)

    assert refused.value.code is Code.not_found
    memory = answers._table.store
    assert (await memory.query(at.tenant(gone))).items == []
