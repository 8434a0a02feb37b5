"""Requests on a link, answered by another link, by NATS itself, or by nobody."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.link import NatsLink
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.requests import (
    ConnectionLostError,
    NoRespondersError,
    Requests,
    RequestTimeoutError,
)
from artcafe.server.domain.tenant import Tenant
from artcafe.wire.codes import Code
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.nats import Nats
from tests.kit.outcomes import outcome
from tests.kit.proxy import Proxy
from tests.kit.turns import turns

LONG = 100 * PATIENCE
"""A time limit that no test reaches."""


@asynccontextmanager
async def linked(url: str, credentials: NatsCredentials) -> AsyncIterator[NatsLink]:
    """A running link without echo, as those of tenants are."""
    link = NatsLink(
        [url],
        credentials,
        "test",
        buffer_bytes=10**7,
        patience=2 * PATIENCE,
        jitter=lambda: 0.0,
        echo=False,
    )
    running = asyncio.get_running_loop().create_task(link.run())
    try:
        await link.ready()
        yield link
    finally:
        link.close()
        running.cancel()
        await asyncio.wait([running])


class Responder:
    """Receives what is sent to `m.service.>`; while `answering`, it answers with the payload."""

    def __init__(self, link: NatsLink) -> None:
        self.link = link
        self.answering = True
        self.got: list[FullMessage] = []

    def take(self, _: str, message: FullMessage) -> None:
        """A request came."""
        self.got.append(message)
        if self.answering:
            self.answer(message)

    def answer(self, message: FullMessage, payload: bytes | None = None) -> None:
        """Answer a request."""
        self.link.publish(message.reply, message.payload if payload is None else payload)

    async def some(self, number: int) -> None:
        """Wait until this many requests have come."""
        await eventually(lambda: len(self.got) >= number, f"request {number}")


@pytest_asyncio.fixture
async def responder(nats: Nats, tenant: Tenant) -> AsyncIterator[Responder]:
    """It is there before the first request."""
    async with linked(nats.url, nats.operator.credentials(tenant)) as link:
        responder = Responder(link)
        await link.subscribe_full("m.service.>", responder.take, lambda: None)
        yield responder


@pytest_asyncio.fixture
async def link(nats: Nats, proxy: Proxy, tenant: Tenant) -> AsyncIterator[NatsLink]:
    """The link of the requests, whose network the tests break."""
    async with linked(proxy.url, nats.operator.credentials(tenant)) as link:
        yield link


@pytest.fixture
def requests(link: NatsLink) -> Requests:
    """Its requests."""
    return Requests(link)


async def test_a_request_is_answered_with_payload_and_headers(
    requests: Requests, responder: Responder
) -> None:
    responder.answering = False
    asking = asyncio.ensure_future(
        requests.request("m.service.add", b"1+1", seconds=LONG, headers={"Trace": "t1"})
    )
    await responder.some(1)
    [question] = responder.got
    assert (question.headers, question.payload) == (b"NATS/1.0\r\nTrace: t1\r\n\r\n", b"1+1")
    block = b"NATS/1.0 200 Fine\r\nA: b\r\n\r\n"
    line = b"HPUB %b %d %d\r\n" % (question.reply.encode(), len(block), len(block) + 1)
    assert responder.link.send(line, block + b"2")
    answer = await asking
    assert (answer.reply, answer.headers, answer.payload) == ("", block, b"2")


async def test_each_of_ten_thousand_at_once_gets_its_own_answer_over_one_subscription(
    requests: Requests, responder: Responder, proxy: Proxy
) -> None:
    responder.answering = False
    asking = [
        asyncio.ensure_future(requests.request("m.service.x", b"%d" % number, seconds=LONG))
        for number in range(10_000)
    ]
    await responder.some(10_000)
    assert [int(each.payload) for each in responder.got] == list(range(10_000)), "in the order of the calls"
    assert len({each.reply for each in responder.got}) == 10_000
    random.Random(1).shuffle(responder.got)
    for each in responder.got:
        responder.answer(each)
    answers = await asyncio.gather(*asking)
    assert [int(answer.payload) for answer in answers] == list(range(10_000))
    assert bytes(proxy.sent).count(b"SUB _INBOX.") == 1


async def test_a_subject_that_nobody_subscribes_to_is_told_at_once(requests: Requests) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NoRespondersError):
            await requests.request("m.nobody.x", b"x", seconds=LONG)


async def test_an_answer_that_says_503_with_a_payload_is_an_answer(
    requests: Requests, responder: Responder
) -> None:
    responder.answering = False
    asking = asyncio.ensure_future(requests.request("m.service.x", seconds=LONG))
    await responder.some(1)
    block = b"NATS/1.0 503\r\n\r\n"
    line = b"HPUB %b %d %d\r\n" % (responder.got[0].reply.encode(), len(block), len(block) + 1)
    assert responder.link.send(line, block + b"!")
    assert (await asking).payload == b"!"


async def test_no_answer_in_time_and_late_further_and_forged_answers_are_dropped(
    requests: Requests, responder: Responder, caplog: pytest.LogCaptureFixture
) -> None:
    responder.answering = False
    with pytest.raises(RequestTimeoutError):
        await requests.request("m.service.x", b"1", seconds=0.2)
    asking = asyncio.ensure_future(requests.request("m.service.x", b"2", seconds=LONG))
    await responder.some(2)
    late, question = responder.got
    responder.answer(late, b"late")
    responder.answer(question._replace(reply=question.reply[:-1] + "!"), b"forged")
    responder.answer(question, b"first")
    responder.answer(question, b"second")
    assert (await asking).payload == b"first"
    responder.answering = True
    assert (await requests.request("m.service.x", b"3", seconds=LONG)).payload == b"3"
    assert not requests._sent
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_lost_connection_leaves_the_outcome_unknown_and_nothing_is_sent_twice(
    requests: Requests, responder: Responder, proxy: Proxy
) -> None:
    responder.answering = False
    asking = [asyncio.ensure_future(requests.request("m.service.x", seconds=LONG)) for _ in range(3)]
    await responder.some(3)
    proxy.cut()
    for each in asking:
        with pytest.raises(ConnectionLostError):
            await each
    responder.answering = True
    assert (await requests.request("m.service.x", b"again", seconds=LONG)).payload == b"again"
    assert [each.payload for each in responder.got] == [b"", b"", b"", b"again"]


async def test_a_request_waits_for_a_link_that_is_away_and_is_not_sent_after_its_time(
    requests: Requests, responder: Responder, proxy: Proxy, link: NatsLink
) -> None:
    await requests.request("m.service.x", b"before", seconds=LONG)
    proxy.refusing = True
    proxy.cut()
    await eventually(lambda: not link.up)
    assert await outcome(requests.request("m.service.x", b"never", seconds=0.05)) is Code.unavailable
    asking = asyncio.ensure_future(requests.request("m.service.x", b"after", seconds=LONG))
    await turns(5)
    proxy.refusing = False
    assert (await asking).payload == b"after"
    assert [each.payload for each in responder.got] == [b"before", b"after"]


async def test_a_cancelled_request_is_forgotten(requests: Requests, responder: Responder) -> None:
    responder.answering = False
    asking = asyncio.ensure_future(requests.request("m.service.x", b"1", seconds=LONG))
    await responder.some(1)
    asking.cancel()
    await asyncio.wait([asking])
    assert (asking.cancelled(), requests._sent, requests._count) == (True, {}, 0)
    responder.answer(responder.got[0])
    responder.answering = True
    assert (await requests.request("m.service.x", b"2", seconds=LONG)).payload == b"2"


async def test_the_first_that_is_cancelled_leaves_the_subscription_to_the_next(
    requests: Requests, responder: Responder, proxy: Proxy
) -> None:
    proxy.stalled = True
    first = asyncio.ensure_future(requests.request("m.service.x", b"1", seconds=LONG))
    await turns(5)
    first.cancel()
    second = asyncio.ensure_future(requests.request("m.service.x", b"2", seconds=LONG))
    await turns(5)
    proxy.stalled = False
    assert (await second).payload == b"2"
    assert first.cancelled()
    assert [each.payload for each in responder.got] == [b"2"]


async def test_no_more_are_in_flight_than_allowed(link: NatsLink, responder: Responder) -> None:
    requests = Requests(link, most=2)
    responder.answering = False
    asking = [asyncio.ensure_future(requests.request("m.service.x", seconds=LONG)) for _ in range(2)]
    await responder.some(2)
    assert await outcome(requests.request("m.service.x", seconds=LONG)) is Code.unavailable
    responder.answer(responder.got[0])
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    responder.answering = True
    await requests.request("m.service.x", seconds=LONG)
    responder.answer(responder.got[1])
    await asyncio.gather(*asking)
    assert len(responder.got) == 3


async def test_requests_wait_for_room_behind_what_was_published_and_no_more_bytes_than_allowed(
    link: NatsLink, responder: Responder, proxy: Proxy
) -> None:
    requests = Requests(link, waiting_bytes=250_000)
    await requests.request("m.service.x", seconds=LONG)
    proxy.stalled = True
    for number in range(4):  # One more than the window holds.
        link.publish("m.service.told", b"%d" % number + bytes(100_000))
    asking = [
        asyncio.ensure_future(requests.request("m.service.x", b"%d" % number + bytes(100_000), seconds=LONG))
        for number in range(2)
    ]
    await turns(5)
    assert await outcome(requests.request("m.service.x", bytes(100_000), seconds=LONG)) is Code.unavailable
    short = requests.request("m.service.x", b"short", seconds=0.05)
    assert await outcome(short) is Code.unavailable, "it was not sent"
    proxy.stalled = False
    await asyncio.gather(*asking)
    assert [each.payload[:1] for each in responder.got] == [b"", b"0", b"1", b"2", b"3", b"0", b"1"]
    assert requests._waiting == 0


async def test_what_cannot_be_sent_is_refused_before_it_is(requests: Requests, link: NatsLink) -> None:
    largest = link.max_payload
    assert await outcome(requests.request("m.x", bytes(largest + 1), seconds=LONG)) is Code.too_large
    headers = {"a": "b"}
    assert await outcome(requests.request("m.x", bytes(largest), seconds=LONG, headers=headers)) is (
        Code.too_large
    )
    assert await outcome(requests.request("m.x y", seconds=LONG)) is Code.invalid_subject
    assert await outcome(requests.request("m.*", seconds=LONG)) is Code.invalid_subject
    with pytest.raises(ValueError, match="header"):
        await requests.request("m.x", seconds=LONG, headers={"a": "b\r\nc: d"})
    assert requests._count == 0


async def test_a_closed_link_ends_requests_and_takes_none(
    requests: Requests, responder: Responder, link: NatsLink
) -> None:
    responder.answering = False
    asking = asyncio.ensure_future(requests.request("m.service.x", seconds=LONG))
    await responder.some(1)
    link.close()
    with pytest.raises(ConnectionLostError):
        await asking
    assert await outcome(requests.request("m.service.x", seconds=LONG)) is Code.unavailable


async def test_answers_reach_the_link_that_asked_alone(
    nats: Nats, tenant: Tenant, requests: Requests, responder: Responder, link: NatsLink
) -> None:
    for _ in range(2):
        await requests.request("m.service.x", seconds=LONG)
    first, second = (each.reply for each in responder.got)
    assert first != second
    assert {first.rpartition(".")[0], second.rpartition(".")[0]} == {link.inbox}
    for pattern in ("_INBOX.>", f"{link.inbox}.>", f"{link.inbox}.*", first):
        hearing = responder.link.subscribe(pattern, lambda subject, payload: None)
        assert await outcome(hearing) is Code.forbidden, pattern
    assert nats.operator.credentials(tenant).inbox != nats.operator.credentials(tenant).inbox


async def test_a_call_of_the_jetstream_api(nats: Nats, tenant: Tenant) -> None:
    account, signer = nats.operator._tenant_keys(tenant)
    rights = {"pub": {"allow": ["$JS.API.INFO"]}, "sub": {"allow": []}}
    credentials = NatsCredentials(account, signer, nats.clock, "streams", rights)
    async with linked(nats.url, credentials) as link:
        answer = await Requests(link).request("$JS.API.INFO", seconds=LONG)
    told = json.loads(answer.payload)
    assert told["type"] == "io.nats.jetstream.api.v1.account_info_response"
    assert told["limits"]["max_streams"] > 0
