"""The control channel behind a network that breaks."""

import asyncio

import pytest

from artcafe.server.bus.control import ControlLink
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.nats import Nats
from tests.kit.proxy import Proxy


async def test_what_was_told_is_with_nats(nats: Nats, proxy: Proxy) -> None:
    heard: list[bytes] = []
    async with ControlLink(nats.url, nats.operator) as theirs, ControlLink(proxy.url, nats.operator) as ours:
        await theirs.hear("topic", lambda topic, payload: heard.append(payload))
        await ours.tell("topic", b"1")
        proxy.swallowing = True
        telling = asyncio.gather(ours.tell("topic", b"lost"), return_exceptions=True)
        await eventually(lambda: b"lost" in proxy.swallowed)
        assert not telling.done()
        proxy.cut()
        (outcome,) = await telling
        assert isinstance(outcome, ArtcafeError)
        assert outcome.code is Code.unavailable

        proxy.swallowing = False
        # Telling raises until the link is back; hearing waits for it.
        await ours.hear("other", lambda topic, payload: None)
        await ours.tell("topic", b"2")
        await eventually(lambda: heard == [b"1", b"2"])


async def test_hearing_goes_on_after_a_break(nats: Nats, proxy: Proxy) -> None:
    heard: list[tuple[str, bytes]] = []
    async with ControlLink(nats.url, nats.operator) as theirs, ControlLink(proxy.url, nats.operator) as ours:
        await ours.hear("tenants.*", lambda topic, payload: heard.append((topic, payload)))
        proxy.cut()
        await eventually(lambda: proxy.accepted == 2 and b"SUB control.tenants.*" in proxy.sent)
        await ours.tell("nobody", b"")
        await theirs.tell("tenants.acme", b"gone")
        await eventually(lambda: heard == [("tenants.acme", b"gone")])


async def test_after_a_break_it_is_told_once_that_words_may_have_been_missed(
    nats: Nats, proxy: Proxy
) -> None:
    heard: list[bytes] = []
    async with ControlLink(nats.url, nats.operator) as theirs, ControlLink(proxy.url, nats.operator) as ours:
        await ours.hear("topic", lambda topic, payload: heard.append(payload))
        assert not await ours.missed()
        proxy.refusing = True
        proxy.cut()
        await eventually(lambda: not ours._link.up)
        assert not await ours.missed(), "not while it is away: what is told now is missed as well"
        await theirs.tell("topic", b"lost")
        proxy.refusing = False
        missed = await _missed(ours)
        await theirs.tell("topic", b"heard")
        await eventually(lambda: heard)
        assert (missed, heard) == (True, [b"heard"])
        assert not await ours.missed()
        assert not await theirs.missed()


async def test_a_break_while_it_is_asked_is_told_of_afterwards(nats: Nats, proxy: Proxy) -> None:
    """What is told between the two breaks may be missed as well: the answer comes when both are over."""
    async with ControlLink(proxy.url, nats.operator) as ours:
        proxy.cut()
        await eventually(lambda: proxy.accepted == 2 and ours._link.up)
        proxy.swallowing = True
        asked = asyncio.create_task(ours.missed())
        await eventually(lambda: b"PING" in proxy.swallowed)
        proxy.cut()
        assert not await asked
        proxy.swallowing = False
        assert await _missed(ours)
        assert not await ours.missed()


async def _missed(control: ControlLink) -> bool:
    """Ask until it is true, as the server does."""
    async with asyncio.timeout(PATIENCE):
        while not await control.missed():
            await asyncio.sleep(0.01)
    return True


async def test_without_nats_there_is_no_control(nats: Nats, proxy: Proxy) -> None:
    proxy.refusing = True
    before = asyncio.all_tasks()
    with pytest.raises(ArtcafeError) as refusal:
        async with ControlLink(proxy.url, nats.operator):
            pass
    assert refusal.value.code is Code.unavailable
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_an_error_of_the_block_comes_out_as_it_is(nats: Nats) -> None:
    with pytest.raises(LookupError, match="of the block"):
        async with ControlLink(nats.url, nats.operator):
            raise LookupError("of the block")


async def test_leaving_ends_every_task(nats: Nats) -> None:
    before = asyncio.all_tasks()
    async with ControlLink(nats.url, nats.operator) as control:
        await control.tell("topic", b"")
    await eventually(lambda: asyncio.all_tasks() <= before)
    with pytest.raises(ArtcafeError) as refusal:
        await control.tell("topic", b"")
    assert refusal.value.code is Code.unavailable
