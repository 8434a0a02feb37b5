"""Tenants on one nats-server: nothing of one reaches another, whatever either of them holds.

Each refusal has its counterpart beside it: the same thing works where it should.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.control import ControlLink
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Deliver, Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import matches, pattern_to_bus, to_bus
from tests.kit.buses import tenant_links
from tests.kit.deadlines import eventually
from tests.kit.nats import Nats, WallClock, make_tenant
from tests.kit.nats_client import raw, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

Got = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class World:
    """Three tenants, and two processes with a link to each."""

    nats: Nats
    tenants: list[Tenant]
    receiving: Sequence[Link]
    sending: Sequence[Link]
    marks: Got

    @property
    def acme(self) -> Tenant:
        """The first tenant."""
        return self.tenants[0]

    @property
    def globex(self) -> Tenant:
        """The second tenant."""
        return self.tenants[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(nats: Nats) -> AsyncIterator[World]:
    """Made once, for the tests are many and the connections few."""
    tenants = [make_tenant(name) for name in ("acme", "globex", "initech")]
    async with nats.authority() as authority, tenant_links(nats) as ours, tenant_links(nats) as theirs:
        for tenant in tenants:
            await authority.push(tenant)
        receiving = [await ours.link(tenant) for tenant in tenants]
        sending = [await theirs.link(tenant) for tenant in tenants]
        marks: Got = []
        for link in receiving:
            await link.subscribe("m.test.mark", collect(marks))
        yield World(nats, tenants, receiving, sending, marks)


def collect(into: Got, name: str = "") -> Deliver:
    """A receiver that appends (name or subject, payload)."""

    def deliver(subject: str, payload: bytes) -> None:
        into.append((name or subject, payload.decode()))

    return deliver


async def everything_arrived(world: World) -> None:
    """Return when whatever was published before is with its receivers: all connections have been around."""
    await asyncio.gather(*(link.flush() for link in world.sending))
    world.marks.clear()
    for link in world.receiving:
        link.publish("m.test.mark", b"")
    await eventually(lambda: len(world.marks) == len(world.receiving))


def unlimited(operator: Operator, tenant: Tenant, signer: Tenant | None = None) -> NatsCredentials:
    """A user who may do everything in a tenant's account, signed by the key of `signer`, else its own."""
    account, _ = operator._tenant_keys(tenant)
    _, signing = operator._tenant_keys(signer or tenant)
    return NatsCredentials(account, signing, WallClock(), "root", {})


@pytest.mark.parametrize(("here", "there"), [(0, 1), (1, 0), (2, 0)])
async def test_the_same_subject_is_another_one_elsewhere(world: World, here: int, there: int) -> None:
    got: dict[int, Got] = {here: [], there: []}
    subscriptions = [
        await world.receiving[place].subscribe(pattern, collect(got[place]))
        for place in got
        for pattern in ("m.>", "d.>", "i.>", "r.>")
    ]
    subjects = ["m.a.tasks.new", "d.planner.a.hello", "i.planner.a.reply", "r.sys.presence.a"]
    for subject in subjects:
        world.sending[here].publish(subject, b"secret")
    await everything_arrived(world)
    for subscription in subscriptions:
        await subscription.close()
    assert [entry for entry in got[here] if entry[1]] == [(subject, "secret") for subject in subjects]
    assert [entry for entry in got[there] if entry[1]] == []


TOKENS = st.sampled_from(["tasks", "new", "a", "b", "sys", "agents"])
AGENTS = st.sampled_from(["a", "b", "planner"])
SHARED_TOKENS = st.sampled_from(["tasks", "new", "a", "b"])


@st.composite
def subjects(draw: st.DrawFn) -> str:
    """A subject as clients write it, in any space."""
    rest = ".".join(draw(st.lists(TOKENS, min_size=1, max_size=3)))
    kind = draw(st.sampled_from(["shared", "shared", "agents", "inbox", "presence"]))
    if kind == "shared":
        return f"{draw(SHARED_TOKENS)}.{rest}"
    return f"{kind}.{rest}" if kind == "presence" else f"{kind}.{draw(AGENTS)}.{rest}"


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """A pattern as clients write it: a subject in which wildcards stand for some tokens."""
    tokens = draw(subjects()).split(".")
    first = 2 if tokens[0] in {"agents", "inbox"} else 1 if tokens[0] == "presence" else 0
    for position in range(first, len(tokens)):
        if draw(st.booleans()):
            tokens[position] = "*"
    if draw(st.booleans()):
        tokens = [*tokens[: draw(st.integers(first, len(tokens) - 1))], ">"]
    return ".".join(tokens)


PLACES = st.integers(0, 2)


@settings(max_examples=100, deadline=None)
@given(
    wanted=st.lists(st.tuples(PLACES, patterns()), min_size=1, max_size=6),
    told=st.lists(st.tuples(PLACES, AGENTS, subjects()), min_size=1, max_size=12),
)
async def test_each_message_reaches_exactly_who_wants_it_in_its_own_tenant(
    world: World, wanted: list[tuple[int, str]], told: list[tuple[int, str, str]]
) -> None:
    got: Got = []
    subscriptions = [
        await world.receiving[place].subscribe(pattern_to_bus(pattern), collect(got, str(number)))
        for number, (place, pattern) in enumerate(wanted)
    ]
    for number, (place, sender, subject) in enumerate(told):
        world.sending[place].publish(to_bus(sender, subject), b"%d" % number)
    await everything_arrived(world)
    for subscription in subscriptions:
        await subscription.close()
    assert sorted(entry for entry in got if entry[1]) == sorted(
        (str(who), str(what))
        for who, (place, pattern) in enumerate(wanted)
        for what, (origin, _sender, subject) in enumerate(told)
        if origin == place and matches(pattern, subject)
    )


async def test_even_a_user_who_may_do_everything_is_confined_to_the_account(world: World) -> None:
    async with (
        raw(world.nats, unlimited(world.nats.operator, world.globex)) as intruder,
        ControlLink(world.nats.url, world.nats.operator) as control,
    ):
        await intruder.hear(">")
        heard: Got = []
        heard_control: Got = []
        subscription = await world.receiving[0].subscribe("m.>", collect(heard))
        await control.hear(">", collect(heard_control))
        world.sending[0].publish("m.a.tasks", b"acme's")
        await control.tell("tenants", b"control's")
        world.sending[1].publish("m.a.tasks", b"globex's own")
        # And the other way round: what it publishes stays where it is.
        for subject in ["m.a.forged", "control.tenants", "r.sys.presence.a"]:
            await intruder.client.publish(subject, b"forged")
        await intruder.settle()
        await everything_arrived(world)
        await eventually(lambda: ("m.a.tasks", "globex's own") in intruder.got)
        await subscription.close()
    assert {text for _, text in intruder.got if text} == {"globex's own", "forged"}
    assert [text for _, text in heard if text] == ["acme's"]
    assert heard_control == [("tenants", "control's")]


SYSTEM = [
    "$SYS.REQ.SERVER.PING.STATSZ",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.CLAIMS.PACK",
    "$SYS.REQ.ACCOUNT.{other}.CLAIMS.LOOKUP",
    "$SYS.REQ.ACCOUNT.{other}.CONNZ",
    "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$JS.API.ACCOUNT.PURGE.{other}",
    "$JS.API.STREAM.NAMES",
    "$JS.API.INFO",
]


async def test_a_tenants_gateway_reaches_neither_the_system_nor_streams(world: World) -> None:
    other = world.nats.operator.account_id(world.acme)
    async with raw(world.nats, world.nats.operator.credentials(world.globex)) as gateway:
        for subject in SYSTEM:
            assert await gateway.ask(subject.format(other=other)) is None, subject
        assert len(gateway.errors) == len(SYSTEM)
        for pattern in [">", "*.>", "$SYS.>", "$JS.>", "control.>", "*"]:
            await gateway.refuses(pattern)
        # It is alive, and may do its own work.
        await gateway.hear("m.>")
        await gateway.client.publish("m.a.x", b"own")
        await eventually(lambda: gateway.got == [("m.a.x", "own")])

    async with raw(world.nats, world.nats.operator.system_credentials()) as authority:
        assert await authority.ask(f"$SYS.REQ.ACCOUNT.{other}.CLAIMS.LOOKUP", seconds=5)


async def test_a_tenants_unlimited_user_learns_nothing_of_the_system(world: World) -> None:
    operator = world.nats.operator
    other = operator.account_id(world.acme)
    async with raw(world.nats, unlimited(operator, world.globex)) as intruder:
        for subject in SYSTEM[:5]:
            assert await intruder.ask(subject.format(other=other)) is None, subject
        own = await intruder.ask("$SYS.REQ.ACCOUNT.PING.CONNZ") or b""
        assert b"artcafe gateway globex" in own
        assert b"acme" not in own
        # It may purge nothing: the other tenant's account still stands.
        assert other.encode() not in (await intruder.ask(f"$JS.API.ACCOUNT.PURGE.{other}") or b"")
    await world.receiving[0].flush()


async def test_the_control_channel_hears_no_tenant(world: World) -> None:
    async with raw(world.nats, world.nats.operator.control_credentials()) as control:
        for pattern in ["m.>", ">", "$SYS.>"]:
            await control.refuses(pattern)
        await control.hear("control.>")
        world.sending[0].publish("m.a.x", b"acme's")
        await everything_arrived(world)
        await control.client.publish("control.x", b"own")
        await eventually(lambda: control.got == [("control.x", "own")])


async def test_no_key_of_one_tenant_opens_another(world: World) -> None:
    operator = world.nats.operator
    async with raw(world.nats, unlimited(operator, world.acme)):
        pass
    await refused(world.nats, unlimited(operator, world.acme, signer=world.globex))
    stranger = Operator(b"x" * 32, WallClock())
    await asyncio.gather(
        refused(world.nats, stranger.credentials(world.acme)),
        refused(world.nats, stranger.system_credentials()),
        refused(world.nats, stranger.control_credentials()),
    )


async def test_a_token_without_its_key_opens_nothing(world: World) -> None:
    operator = world.nats.operator
    known, other = operator.credentials(world.acme), operator.credentials(world.acme)

    class Stolen(NatsCredentials):
        def sign(self, nonce: str) -> bytes:
            return other.sign(nonce)

    stolen = Stolen(known._account, known._signer, WallClock(), "stolen", {})
    await refused(world.nats, stolen)


async def test_deleting_a_tenant_ends_its_connections_and_no_others(nats: Nats, world: World) -> None:
    doomed = make_tenant("doomed")
    async with nats.authority() as authority, tenant_links(nats, patience=0.3) as links:
        await authority.push(doomed)
        link = await links.link(doomed)
        got: Got = []
        await link.subscribe("m.>", collect(got))
        async with raw(nats, nats.operator.credentials(doomed)) as native:
            await native.hear("m.>")
            await authority.remove(doomed)
            await eventually(lambda: native.client.is_closed)
            await eventually(lambda: not link.up)
            with pytest.raises(ArtcafeError) as refusal:
                await link.flush()
            assert refusal.value.code is Code.unavailable
        await refused(nats, nats.operator.credentials(doomed))
    assert got == []
    assert native.got == []
    for place in range(3):
        await world.receiving[place].flush()
        await world.sending[place].flush()


async def test_a_tenant_made_again_is_a_stranger_to_the_first(nats: Nats) -> None:
    first, second = make_tenant("phoenix"), make_tenant("phoenix")
    assert nats.operator.account_id(first) != nats.operator.account_id(second)
    async with nats.authority() as authority, tenant_links(nats) as links:
        await authority.push(first)
        async with raw(nats, nats.operator.credentials(first)) as old:
            await old.hear("m.>")
            await authority.push(second)
            fresh = await links.link(second)
            heard: Got = []
            await fresh.subscribe("m.>", collect(heard))
            fresh.publish("m.a.x", b"the second's")
            await old.client.publish("m.a.x", b"the first's")
            await old.settle()
            await eventually(lambda: heard)
            await fresh.flush()
            assert old.got == [("m.a.x", "the first's")]
            assert heard == [("m.a.x", "the second's")]

            await authority.remove(first)
            await eventually(lambda: old.client.is_closed)
        await refused(nats, nats.operator.credentials(first))
        await fresh.flush()


async def test_many_tenants_at_once(nats: Nats) -> None:
    tenants = [make_tenant(f"t{number}") for number in range(30)]
    got: list[Got] = [[] for _ in tenants]
    async with nats.authority() as authority, tenant_links(nats) as links:
        await asyncio.gather(*(authority.push(tenant) for tenant in tenants))
        opened = await asyncio.gather(*(links.link(tenant) for tenant in tenants))
        await asyncio.gather(
            *(link.subscribe("m.>", collect(into)) for link, into in zip(opened, got, strict=True))
        )
        for number, link in enumerate(opened):
            link.publish("m.a.x", b"%d" % number)
        await asyncio.gather(*(link.flush() for link in opened))
        await eventually(lambda: all(got))
        # Once more around: a stray copy would be here by now.
        await asyncio.gather(*(link.flush() for link in opened))
    assert got == [[("m.a.x", str(number))] for number in range(30)]
