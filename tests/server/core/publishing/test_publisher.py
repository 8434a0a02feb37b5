"""Every door for messages and every reason to refuse one: of several the same one wins at each door."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from artcafe.server.bus.memory import MemoryBus
from artcafe.server.core.publishing.messages import Messages
from artcafe.server.core.publishing.publisher import MessageClock, MessageServices, platform_publisher
from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import MAX_PER_SUBJECT, ChannelRules
from artcafe.server.domain.ids import PLATFORM_SENDER, AgentId, TenantId, UserId
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.dialects.legacy import LegacyDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.presence_publisher import PresencePublisher
from artcafe.server.gateway.sessions.agent_session import AgentSession
from artcafe.server.gateway.sessions.dashboard_session import DashboardSession
from artcafe.wire import frames
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.directories import OneTenant
from tests.kit.installation import Installation, counting
from tests.kit.issuers import StoppedClock
from tests.kit.nats import make_tenant
from tests.kit.outcomes import outcome
from tests.kit.sessions import ACME, LARGEST, PLANNER, RATE, a_channel, a_table
from tests.kit.tallies import Count, telling, unlimited
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY, UnreliableBus

FAULTS: dict[str, tuple[str, Code]] = {
    "too fast": ("rate", Code.rate_limited),
    "no subject": ("spelling", Code.invalid_subject),
    "another tenant's": ("spelling", Code.forbidden),
    "tenant gone": ("tenant", Code.not_found),
    "viewer": ("role", Code.forbidden),
    "the platform's": ("permission", Code.forbidden),
    "against the policy": ("permission", Code.forbidden),
    "not a publisher": ("permission", Code.forbidden),
    "too many channels": ("permission", Code.too_many_channels),
    "too large for its channel": ("size", Code.too_large),
    "too large for everybody": ("size", Code.too_large),
    "no reply_to": ("reply", Code.invalid_subject),
    "bus away": ("bus", Code.unavailable),
}
"""What is wrong with a message: when that is asked, and what is answered."""

SUBJECTS = {
    "no subject": "a b",
    "another tenant's": "tenant.acme-2.channel.x",
    "the platform's": "sys.x",
    "against the policy": "denied",
    "not a publisher": "closed.x",
    "too many channels": "crowded",
    "too large for its channel": "small",
}

RULES = ChannelRules(
    [
        a_channel("tasks"),
        a_channel("small", max_message_bytes=4),
        a_channel("closed", subject="closed.>", publishers=["nobody"]),
        *(a_channel(f"c{number}", subject="crowded") for number in range(MAX_PER_SUBJECT + 1)),
    ]
)
"""More channels of one subject than any store takes."""

POLICY = Policy(publish=Grant(deny=["denied"]))

FRAME = ("rate", "spelling", "permission", "size", "reply", "bus")
HUMAN = ("rate", "spelling", "role", "permission", "size", "reply", "bus")
REQUEST = ("spelling", "tenant", "rate", "role", "permission", "size", "bus")


@dataclass
class Attempt:
    """What came of one message: refused by this error, or on the bus, and counted."""

    refused: Code | None
    bus: list[tuple[str, Any]]
    counted: list[Count]


@dataclass(frozen=True)
class Message:
    """One message with faults."""

    faults: frozenset[str] = frozenset()

    @property
    def subject(self) -> str:
        """Where it is to go."""
        [subject] = [SUBJECTS[fault] for fault in self.faults if fault in SUBJECTS] or ["tasks"]
        return subject

    @property
    def data(self) -> bytes:
        """What it says: 1 byte, 5, or too many."""
        if "too large for everybody" in self.faults:
            return b'"' + b"x" * LARGEST + b'"'
        return b"12345" if "too large for its channel" in self.faults else b"1"

    @property
    def role(self) -> Role:
        """Who publishes, where it is a human."""
        return Role.viewer if "viewer" in self.faults else Role.admin

    def frame(self) -> bytes:
        """A frame that publishes it."""
        reply = ',"reply_to":"no subject"' if "no reply_to" in self.faults else ""
        return b'{"type":"publish","subject":"%b"%b,"data":%b}' % (
            self.subject.encode(),
            reply.encode(),
            self.data,
        )


Door = Callable[[Message], Any]


def session(kind: type[AgentSession], dialect: Any, *, times: int = 1) -> Door:
    """A frame on a connection; with `times`, the last of so many that are alike but for their data."""

    async def publish(message: Message) -> Attempt:
        human = Human(ACME, UserId("mia"), message.role)
        principal = human if kind is DashboardSession else PLANNER
        policy = Policy() if kind is DashboardSession else POLICY
        table = await a_table(
            principal, rights=Rights(principal, policy, RULES), kind=kind, dialect=dialect()
        )
        for _ in range(times - 1):
            await table.send(replace(message, faults=message.faults - {"too large for everybody"}).frame())
        return await _last(table, message.faults, message.frame())

    return publish


async def presence(message: Message) -> Attempt:
    """What an agent says of itself."""
    table = await a_table(rights=Rights(PLANNER, POLICY, RULES))
    frame = frames.Presence(status="busy", metadata={"said": message.data.decode()})
    return await _last(table, message.faults, frames.encode(frame))


async def _last(table: Any, faults: frozenset[str], text: bytes) -> Attempt:
    table.clock.advance(10.0)
    await turns()
    table.bus.clear()
    table.counted.clear()
    if "too fast" in faults:
        for _ in range(2 * RATE):
            await table.say(type="publish", subject="tasks", data=0)
        table.bus.clear()
        table.counted.clear()
    table.link.refusal = AWAY if "bus away" in faults else None
    answers = await table.send(text)
    codes = [Code[answer["code"]] for answer in answers]
    assert len(codes) <= 1
    return Attempt(codes[0] if codes else None, table.bus, table.counted)


async def _desk() -> tuple[UnreliableBus, OneTenant, list[tuple[str, Any]]]:
    """A bus, and who looks at it, for what is published without a connection."""
    tenant = msgspec.structs.replace(make_tenant(ACME), limits={"messages_per_second": RATE})
    heard: list[tuple[str, Any]] = []
    bus = UnreliableBus(MemoryBus())
    await bus.inner.push(tenant)
    link = await bus.inner.link(tenant)
    await link.subscribe(">", lambda subject, payload: heard.append((subject, json.loads(payload))))
    return bus, OneTenant(tenant, RULES), heard


def _services(counted: list[Count]) -> MessageServices:
    return MessageServices(
        clock=MessageClock(StoppedClock()),
        new_message_id=counting("m"),
        tally=telling(counted),
        quota=unlimited,
    )


def request(*, system: bool) -> Door:
    """A REST request."""

    async def publish(message: Message) -> Attempt:
        bus, directory, heard = await _desk()
        counted: list[Count] = []
        messages = Messages(
            bus=bus,
            directory=directory,
            services=_services(counted),
            max_bytes=LARGEST,
        )
        if "too fast" in message.faults:
            for _ in range(2 * RATE):
                await messages.publish(Human(ACME, UserId("mia"), Role.admin), "tasks", b"0", system=system)
            await turns()
            heard.clear()
            counted.clear()
        bus.linking.failure = AWAY if "bus away" in message.faults else None
        directory.only = None if "tenant gone" in message.faults else directory.only
        human = Human(ACME, UserId("mia"), message.role)
        code = await outcome(messages.publish(human, message.subject, message.data, system=system))
        await turns()
        assert +bus.held == {}
        return Attempt(code if isinstance(code, Code) else None, heard, counted)

    return publish


async def platform(message: Message) -> Attempt:
    """What the platform tells of an agent."""
    bus, directory, heard = await _desk()
    presence = (await Installation.open()).process.presence
    counted: list[Count] = []
    bus.linking.failure = AWAY if "bus away" in message.faults else None
    publisher = PresencePublisher(presence, directory, bus, _services(counted), LARGEST)
    code = await outcome(publisher.tell(ACME, {AgentId("a1"): True}))
    await turns()
    return Attempt(code, heard, counted)


@dataclass(frozen=True)
class Row:
    """A door: what is asked there, in this order; faults that do not exist there; where a message without
    any arrives, and what counts it."""

    door: Door
    asked: tuple[str, ...]
    arrives: str
    counted: list[Count]
    without: frozenset[str] = frozenset()


OF_HUMANS = frozenset({"against the policy"})

DOORS = {
    "frame": Row(
        session(AgentSession, NativeDialect), FRAME, "m.planner.tasks", [("planner", ("tasks",), 1)]
    ),
    "frame like the one before": Row(
        session(AgentSession, NativeDialect, times=3),
        ("rate", "spelling", "permission", "size", "bus"),
        "m.planner.tasks",
        [("planner", ("tasks",), 1)],
    ),
    "legacy frame": Row(
        session(AgentSession, LegacyDialect), FRAME, "m.planner.tasks", [("planner", ("tasks",), 1)]
    ),
    "dashboard": Row(
        session(DashboardSession, DashboardDialect), HUMAN, "m.u-mia.tasks", [("", ("tasks",), 1)], OF_HUMANS
    ),
    "presence frame": Row(
        presence,
        ("rate", "size", "bus"),
        "r.planner.presence.planner",
        [("planner", (), 62)],
        frozenset({"too large for its channel"}),
    ),
    "request": Row(
        request(system=False),
        REQUEST,
        "m.u-mia.tasks",
        [("", ("tasks",), 1)],
        OF_HUMANS,
    ),
    "request as the platform": Row(
        request(system=True),
        REQUEST,
        "m.sys.tasks",
        [("", ("tasks",), 1)],
        OF_HUMANS | {"the platform's", "not a publisher"},
    ),
    "platform": Row(platform, ("bus",), "r.sys.presence.a1", []),
}


@pytest.mark.parametrize("row", DOORS.values(), ids=DOORS)
async def test_a_message_without_a_fault_is_sent_and_counted_once(row: Row) -> None:
    attempt = await row.door(Message())
    assert attempt.refused is None
    assert [subject for subject, _ in attempt.bus] == [row.arrives]
    assert attempt.counted == row.counted


def _faults(row: Row) -> list[frozenset[str]]:
    """Each fault of a door, and each two that one message can have."""
    here = [fault for fault, (stage, _) in FAULTS.items() if stage in row.asked and fault not in row.without]
    pairs = [
        {one, other}
        for one, other in itertools.combinations(here, 2)
        if FAULTS[one][0] != FAULTS[other][0] and not (one in SUBJECTS and other in SUBJECTS)
    ]
    return [frozenset(faults) for faults in [*({fault} for fault in here), *pairs]]


@pytest.mark.parametrize("row", DOORS.values(), ids=DOORS)
async def test_the_fault_that_is_asked_for_first_is_told_and_nothing_is_sent_or_counted(row: Row) -> None:
    for faults in _faults(row):
        first = min(faults, key=lambda fault: row.asked.index(FAULTS[fault][0]))
        attempt = await row.door(Message(faults))
        assert attempt == Attempt(FAULTS[first][1], [], []), sorted(faults)


async def test_a_message_with_headers_is_published_with_those_that_its_trace_gives() -> None:
    bus, directory, heard = await _desk()
    record = await directory.tenant(ACME)
    assert record is not None
    link = await bus.inner.link(record)
    asked: list[tuple[str, str, str, str, dict[str, str]]] = []

    def trace(
        tenant: TenantId, sender: str, subject: str, message: str, headers: dict[str, str]
    ) -> dict[str, str]:
        asked.append((tenant, sender, subject, message, headers))
        return {"traceparent": "continued"}

    services = replace(_services([]), trace=trace)
    publisher = platform_publisher(services, ACME, LARGEST, link)
    with_headers = publisher.publish("tasks", b"1", {"traceparent": "begun"}, None)
    without = publisher.publish("tasks", b"2", None, "agents.a1.reply")
    await eventually(lambda: len(heard) == 2)
    assert asked == [(ACME, PLATFORM_SENDER, "tasks", with_headers, {"traceparent": "begun"})]
    said = {message["id"]: message.get("headers") for _, message in heard}
    assert said == {with_headers: {"traceparent": "continued"}, without: None}
