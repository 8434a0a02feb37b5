"""The streams of durable channels on a real nats-server: what they are, and who may touch them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from nats.errors import Error as NatsError

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.channel_streams import NatsChannelStreams, stream_config
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.durability import LEAST_BYTES, Durability, WhenFull
from artcafe.server.domain.durable_channels import MOST_CHANNELS, DurableChannels
from artcafe.server.domain.tenant import Tenant
from artcafe.server.embedded.nats_server import NatsServer
from artcafe.server.ports.channel_streams import NO_STREAMS, KeptStreams
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.nats import Nats, WallClock, connected, make_tenant, running_nats
from tests.kit.nats_client import Raw, raw
from tests.kit.records import a_channel

SMALL = Durability(max_bytes=LEAST_BYTES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with running_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


def durable(
    name: str = "tasks", subject: str = "", durability: Durability = SMALL, **fields: Any
) -> ChannelRule:
    """A durable channel."""
    return a_channel(name, subject=subject, durability=durability, **fields)


@dataclass
class World:
    """A tenant with an account, what is stored of its durable channels, and what keeps its streams.

    Before each read of the store after the first, the next of `meanwhile` happens.
    """

    nats: Nats
    tenant: Tenant
    streams: NatsChannelStreams
    stored: DurableChannels | None = None
    meanwhile: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    reads: int = 0

    async def read(self) -> DurableChannels | None:
        self.reads += 1
        if self.reads > 1 and self.meanwhile:
            await self.meanwhile.pop(0)()
        return self.stored

    async def keep(self, *channels: ChannelRule, whole: bool = True) -> KeptStreams:
        """Store these channels, and keep the streams."""
        self.stored, self.reads = DurableChannels(channels, whole), 0
        return await self.streams.keep(self.tenant, self.read)

    def user(self) -> NatsCredentials:
        """Who stores and reads messages."""
        return self.nats.operator.credentials(self.tenant)

    async def held(self) -> dict[str, dict[str, Any]]:
        """The configurations of the account's streams."""
        async with connected(self.nats.url, self.nats.operator.streams_credentials(self.tenant)) as client:
            answer = await client.request("$JS.API.STREAM.LIST", b"", timeout=5)
        return {each["config"]["name"]: each["config"] for each in json.loads(answer.data)["streams"] or []}


@pytest.fixture
async def world(shared: Nats) -> World:
    tenant = make_tenant("acme")
    async with shared.authority() as authority:
        await authority.push(tenant)
    return World(shared, tenant, NatsChannelStreams(shared.url, shared.operator))


async def request(client: Raw, subject: str, said: object = None) -> dict[str, Any]:
    """The answer to a question, JSON."""
    payload = b"" if said is None else json.dumps(said).encode()
    answer: dict[str, Any] = json.loads((await client.client.request(subject, payload, timeout=5)).data)
    return answer


def more_than(client: Raw, errors: int) -> bool:
    """Whether it was told of another error."""
    return len(client.errors) > errors


async def put(client: Raw, subject: str, payload: bytes = b"x") -> dict[str, Any]:
    """The receipt of a message that is to be stored."""
    answer: dict[str, Any] = json.loads((await client.client.request(subject, payload, timeout=5)).data)
    return answer


async def test_a_stream_is_made_changed_and_deleted_with_its_channel(world: World) -> None:
    tasks = durable()
    assert await world.keep(tasks) == KeptStreams(made=1)
    assert await world.keep(tasks) == NO_STREAMS
    assert [*await world.held()] == [tasks.stream]

    longer = replace(
        tasks, durability=Durability(max_bytes=LEAST_BYTES * 2, max_age_seconds=3600, max_messages=9)
    )
    assert await world.keep(longer) == KeptStreams(changed=1)
    assert await world.keep(longer) == NO_STREAMS
    config = (await world.held())[tasks.stream]
    assert (config["max_bytes"], config["max_age"], config["max_msgs"]) == (LEAST_BYTES * 2, 3600 * 10**9, 9)

    assert await world.keep() == KeptStreams(deleted=1)
    assert await world.held() == {}


@pytest.mark.parametrize(
    "change",
    [
        {"max_messages": 5},
        {"max_age_seconds": 600},
        {"max_bytes": LEAST_BYTES + 1},
        {"when_full": WhenFull.refuse},
    ],
    ids=str,
)
async def test_each_bound_can_be_set_and_taken_back(world: World, change: dict[str, Any]) -> None:
    tasks = durable()
    changed = replace(tasks, durability=replace(SMALL, **change))
    for wanted, done in (
        (tasks, KeptStreams(made=1)),
        (changed, KeptStreams(changed=1)),
        (changed, NO_STREAMS),
        (tasks, KeptStreams(changed=1)),
        (tasks, NO_STREAMS),
    ):
        assert await world.keep(wanted) == done


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("tasks", "tasks"),
        ("tasks.*", "tasks.new"),
        ("tasks.>", "tasks.a.b"),
        ("*.new.*.>", "tasks.new.b.c.d"),
        ("*", "tasks"),
        (">", "a.b"),
        ("agents.presence.*", "agents.presence.x"),
    ],
)
async def test_what_is_stored_is_republished_to_who_subscribes_with_its_sequence(
    world: World, pattern: str, subject: str
) -> None:
    channel = durable("c", pattern)
    await world.keep(channel)
    async with raw(world.nats, world.user()) as client:
        heads: list[dict[str, str]] = []

        async def take(message: Any) -> None:
            heads.append({"subject": message.subject, **message.headers})

        await client.client.subscribe("m.>", cb=take)
        await client.settle()
        receipt = await put(client, f"p.a1.{subject}")
        assert (receipt["stream"], receipt["seq"]) == (channel.stream, 1)
        await eventually(lambda: heads)
    assert (heads[0]["subject"], heads[0]["Nats-Sequence"]) == (f"m.a1.{subject}", "1")


async def test_what_a_channel_does_not_cover_is_not_stored(world: World) -> None:
    await world.keep(durable("c", "tasks.*"))
    async with raw(world.nats, world.user()) as client:
        for subject in ("p.a1.jobs", "p.a1.tasks", "p.a1.tasks.a.b"):
            with pytest.raises(NatsError):
                await put(client, subject)


async def test_a_full_channel_refuses_or_forgets_the_oldest(world: World) -> None:
    refusing = durable("r", durability=replace(SMALL, max_messages=2, when_full=WhenFull.refuse))
    forgetting = durable("f", durability=replace(SMALL, max_messages=2))
    await world.keep(refusing, forgetting)
    async with raw(world.nats, world.user()) as client:
        full = [await put(client, "p.a1.r") for _ in range(3)]
        assert full[2]["error"]["err_code"] == 10077
        assert [(await put(client, "p.a1.f"))["seq"] for _ in range(3)] == [1, 2, 3]
        state = (await request(client, f"$JS.API.STREAM.INFO.{forgetting.stream}"))["state"]
        assert (state["first_seq"], state["messages"]) == (2, 2)


async def test_a_message_larger_than_the_channel_is_refused_as_that(world: World) -> None:
    await world.keep(durable())
    async with raw(world.nats, world.user()) as client:
        assert (await put(client, "p.a1.tasks", b"x" * LEAST_BYTES))["error"]["err_code"] == 10054
        assert (await put(client, "p.a1.tasks", b"x" * (LEAST_BYTES - 2000)))["seq"] == 1


async def test_a_channel_made_anew_has_another_stream_without_the_old_messages(world: World) -> None:
    first = durable(incarnation="1")
    again = (durable(incarnation="2"), durable(incarnation="1", durable_as="x"))
    await world.keep(first)
    async with raw(world.nats, world.user()) as client:
        await put(client, "p.a1.tasks")
        for later in again:
            assert await world.keep(later) == KeptStreams(made=1, deleted=1)
            assert (await put(client, "p.a1.tasks"))["seq"] == 1
    assert len({first.stream, *(each.stream for each in again)}) == 3


async def test_nothing_is_deleted_when_not_all_channels_were_read(world: World) -> None:
    tasks, jobs = durable(), durable("jobs")
    await world.keep(tasks, jobs)

    assert await world.keep(jobs, durable("more"), whole=False) == KeptStreams(made=1)

    assert {tasks.stream, jobs.stream} < (await world.held()).keys()


async def test_of_a_tenant_that_never_had_durable_channels_nothing_is_asked_or_deleted(world: World) -> None:
    tasks = durable()
    await world.keep(tasks)
    world.stored = None

    nowhere = NatsChannelStreams("nats://127.0.0.1:1", world.nats.operator)
    assert await nowhere.keep(world.tenant, world.read) == NO_STREAMS
    assert await world.streams.keep(world.tenant, world.read) == NO_STREAMS
    assert [*await world.held()] == [tasks.stream]


async def test_other_streams_of_the_account_are_left_alone(world: World) -> None:
    async with connected(world.nats.url, world.nats.operator.streams_credentials(world.tenant)) as client:
        said = {"name": "INBOX", "subjects": ["q.*"], "max_bytes": LEAST_BYTES}
        await client.request("$JS.API.STREAM.CREATE.INBOX", json.dumps(said).encode(), timeout=5)

    await world.keep(durable())
    await world.keep()

    assert [*await world.held()] == ["INBOX"]


async def test_whoever_is_overtaken_looks_again(world: World) -> None:
    """Another process deletes a channel after this one read it, and makes one after this one listed
    streams."""
    tasks, jobs = durable(), durable("jobs")

    async def replaced() -> None:
        world.stored = DurableChannels([jobs])
        await NatsChannelStreams(world.nats.url, world.nats.operator).keep(world.tenant, self_read)

    async def self_read() -> DurableChannels | None:
        return world.stored

    async def nothing() -> None:
        pass

    for moment in ([replaced], [nothing, replaced]):
        await world.keep()
        world.meanwhile = list(moment)
        await world.keep(tasks)
        assert [*await world.held()] == [jobs.stream]


async def test_what_another_process_makes_meanwhile_is_never_deleted(world: World) -> None:
    """It stores a channel just after this process read them, and somebody stores a message in it."""
    tasks, jobs = durable(), durable("jobs")
    await world.keep(tasks)
    other = NatsChannelStreams(world.nats.url, world.nats.operator)
    reads = 0

    async def now() -> DurableChannels | None:
        return world.stored

    async def read() -> DurableChannels | None:
        nonlocal reads
        reads += 1
        seen = world.stored
        if reads == 2:
            world.stored = DurableChannels([tasks, jobs])
            await other.keep(world.tenant, now)
            async with raw(world.nats, world.user()) as client:
                await put(client, "p.a1.jobs")
        return seen

    assert await world.streams.keep(world.tenant, read) == NO_STREAMS

    async with raw(world.nats, world.user()) as client:
        state = (await request(client, f"$JS.API.STREAM.INFO.{jobs.stream}"))["state"]
        assert state["messages"] == 1


async def test_a_stream_that_somebody_else_makes_or_deletes_meanwhile_is_made_right(world: World) -> None:
    tasks = durable()
    longer = replace(tasks, durability=replace(SMALL, max_messages=9))

    async def made() -> None:
        async with connected(world.nats.url, world.nats.operator.streams_credentials(world.tenant)) as client:
            config = json.dumps(stream_config(tasks, 1)).encode()
            await client.request(f"$JS.API.STREAM.CREATE.{tasks.stream}", config, timeout=5)

    async def deleted() -> None:
        async with connected(world.nats.url, world.nats.operator.streams_credentials(world.tenant)) as client:
            await client.request(f"$JS.API.STREAM.DELETE.{tasks.stream}", b"", timeout=5)

    world.meanwhile = [made]
    assert (await world.keep(longer)).refused == 0
    assert (await world.held())[tasks.stream]["max_msgs"] == 9

    world.meanwhile = [deleted]
    assert (await world.keep(tasks)).refused == 0
    assert (await world.held())[tasks.stream]["max_msgs"] == -1


async def test_many_who_keep_at_once_agree(world: World) -> None:
    channels = [durable(f"c{number}") for number in range(8)]
    await asyncio.gather(*(world.keep(*channels) for _ in range(4)))
    assert (await world.held()).keys() == {each.stream for each in channels}


@asynccontextmanager
async def small_nats(folder: Path, store: str) -> AsyncIterator[Nats]:
    """A nats-server that stores so much, of all tenants."""
    seed, clock = b"s" * 32, WallClock()
    operator = Operator(seed, clock)
    config = operator.server_config(server_name="small", listen="127.0.0.1:-1", data_dir=folder)
    server = NatsServer(config.replace("jetstream {", f"jetstream {{\n  max_file_store: {store}"), folder)
    await server.start()
    try:
        yield Nats(server, seed, operator, clock)
    finally:
        await server.stop()


async def test_what_the_disk_has_no_room_for_is_told_and_the_rest_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with small_nats(tmp_path, "1MB") as nats, nats.authority() as authority:
        greedy, modest = make_tenant("greedy"), make_tenant("modest")
        await authority.push(greedy)
        await authority.push(modest)
        world = World(nats, greedy, NatsChannelStreams(nats.url, nats.operator))
        other = World(nats, modest, NatsChannelStreams(nats.url, nats.operator))
        large = durable("large", durability=Durability(max_bytes=2_000_000))
        assert await world.keep(large, durable("small")) == KeptStreams(made=1, refused=1)
        assert "stream_refused" in caplog.text
        assert await other.keep(durable()) == KeptStreams(made=1)

        smaller = replace(large, durability=Durability(max_bytes=100_000))
        assert await world.keep(smaller, durable("small")) == KeptStreams(made=1)


async def test_what_takes_less_room_comes_first(tmp_path: Path) -> None:
    def sized(name: str, size: int) -> ChannelRule:
        return durable(name, durability=Durability(max_bytes=size))

    async with small_nats(tmp_path, "1MB") as nats, nats.authority() as authority:
        tenant = make_tenant("tight")
        await authority.push(tenant)
        world = World(nats, tenant, NatsChannelStreams(nats.url, nats.operator))
        await world.keep(sized("a", 600_000), sized("b", 100_000), sized("gone", 300_000))

        new = [sized("0", 600_000), sized("b", 200_000), sized("a", 100_000)]
        assert await world.keep(*new) == KeptStreams(made=1, changed=2, deleted=1)


async def test_a_restart_with_less_room_loses_no_stream(tmp_path: Path) -> None:
    tenant, tasks = make_tenant("acme"), durable(durability=Durability(max_bytes=3_000_000))
    for room, seq in (("4MB", 1), ("1MB", 2)):
        async with small_nats(tmp_path, room) as nats, nats.authority() as authority:
            await authority.push(tenant)
            world = World(nats, tenant, NatsChannelStreams(nats.url, nats.operator))
            assert await world.keep(tasks) == (KeptStreams(made=1) if seq == 1 else NO_STREAMS)
            async with raw(nats, world.user()) as client:
                assert (await put(client, "p.a1.tasks"))["seq"] == seq


async def test_an_account_holds_no_stream_without_a_bound_on_the_disk(world: World) -> None:
    async with raw(world.nats, world.nats.operator.streams_credentials(world.tenant)) as client:
        for config in ({}, {"max_bytes": LEAST_BYTES, "storage": "memory"}):
            said = {"name": "S", "subjects": ["p.>"], **config}
            answer = await request(client, "$JS.API.STREAM.CREATE.S", said)
            assert "error" in answer, config


async def test_an_account_that_is_not_there_is_unavailable(shared: Nats) -> None:
    world = World(shared, make_tenant("nobody"), NatsChannelStreams(shared.url, shared.operator))
    with pytest.raises(ArtcafeError) as refusal:
        await world.keep(durable())
    assert refusal.value.code is Code.unavailable


FORBIDDEN = [
    "$JS.API.STREAM.CREATE.{}",
    "$JS.API.STREAM.UPDATE.{}",
    "$JS.API.STREAM.DELETE.{}",
    "$JS.API.STREAM.PURGE.{}",
    "$JS.API.STREAM.RESTORE.{}",
    "$JS.API.STREAM.SNAPSHOT.{}",
    "$JS.API.STREAM.MSG.DELETE.{}",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.NAMES",
    "$JS.API.INFO",
    "$JS.API.CONSUMER.CREATE.{}",
    "$JS.API.CONSUMER.CREATE.{}.c",
    "$JS.API.CONSUMER.DURABLE.CREATE.{}.c",
    "$JS.API.CONSUMER.LIST.{}",
    "$JS.API.CONSUMER.INFO.{}.c",
    "$JS.API.CONSUMER.DELETE.{}.c",
    "$JS.API.DIRECT.GET.{}.p.a1.tasks",
    "$JS.API.STREAM.LEADER.STEPDOWN.{}",
    "$JS.API.ACCOUNT.PURGE.{}",
    "$JS.EVENT.ADVISORY.x",
    "$SYS.REQ.USER.INFO",
    "q.a1",
]


async def test_the_gateway_stores_reads_and_settles_and_nothing_else(world: World) -> None:
    tasks = durable()
    await world.keep(tasks)
    async with raw(world.nats, world.user()) as client:
        assert (await put(client, "p.a1.tasks"))["seq"] == 1
        assert "state" in await request(client, f"$JS.API.STREAM.INFO.{tasks.stream}")
        assert (await request(client, f"$JS.API.STREAM.MSG.GET.{tasks.stream}", {"seq": 1}))["message"][
            "seq"
        ] == 1
        got = await client.client.request(f"$JS.API.DIRECT.GET.{tasks.stream}", b'{"seq":1}', timeout=5)
        assert got.data == b"x"

        for subject in FORBIDDEN:
            before = len(client.errors)
            await client.client.publish(subject.format(tasks.stream), b"")
            await client.settle()
            await eventually(partial(more_than, client, before), subject)
            assert "permissions violation for publish" in client.errors[-1], subject
        for pattern in ("p.>", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$SYS.>", ">"):
            await client.refuses(pattern)
    assert (await world.held()).keys() == {tasks.stream}


async def test_who_makes_streams_reads_and_writes_no_message(world: World) -> None:
    tasks = durable()
    await world.keep(tasks)
    async with raw(world.nats, world.nats.operator.streams_credentials(world.tenant)) as client:
        for subject in (
            "p.a1.tasks",
            "m.a1.tasks",
            f"$JS.API.DIRECT.GET.{tasks.stream}",
            f"$JS.API.STREAM.MSG.GET.{tasks.stream}",
            f"$JS.API.CONSUMER.MSG.NEXT.{tasks.stream}.c",
            "$JS.ACK.x",
        ):
            before = len(client.errors)
            await client.client.publish(subject, b"")
            await client.settle()
            await eventually(partial(more_than, client, before), subject)
        for pattern in ("m.>", "p.>", "$JS.>"):
            await client.refuses(pattern)


async def test_as_many_channels_as_a_tenant_may_have_are_there_after_a_restart(tmp_path: Path) -> None:
    tenant, seed = make_tenant("many"), b"s" * 32
    channels = [durable(f"c{number}") for number in range(MOST_CHANNELS)]
    async with running_nats(tmp_path, seed=seed) as nats:
        async with nats.authority() as authority:
            await authority.push(tenant)
        world = World(nats, tenant, NatsChannelStreams(nats.url, nats.operator))
        assert await world.keep(*channels) == KeptStreams(made=MOST_CHANNELS)
    async with running_nats(tmp_path, seed=seed) as nats:
        world = World(nats, tenant, NatsChannelStreams(nats.url, nats.operator))
        assert await world.keep(*channels) == NO_STREAMS
        inboxes, one_more = durable("inboxes"), durable("one-more")  # There is room for the tenant's inboxes.
        assert await world.keep(*channels, inboxes) == KeptStreams(made=1)
        assert await world.keep(*channels, inboxes, one_more) == KeptStreams(refused=1)
        assert await world.keep() == KeptStreams(deleted=MOST_CHANNELS + 1)


def test_every_copy_and_wildcard_is_named() -> None:
    channel = durable("c", "*.new.>")
    config = stream_config(channel, replicas=3)
    assert config["subjects"] == ["p.*.*.new.>", f"x.{channel.stream}.*"]
    assert config["republish"] == {"src": "p.*.*.new.>", "dest": "m.{{wildcard(1)}}.{{wildcard(2)}}.new.>"}
    assert (config["num_replicas"], config["discard"]) == (3, "old")
