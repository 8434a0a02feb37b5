"""The connection to the system account: which NATS is refused, and what the connection outlives."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.accounts.system_link import BusRefusedError
from artcafe.server.embedded.nats_server import NatsServer
from tests.kit.deadlines import PATIENCE
from tests.kit.nats import Nats, WallClock, make_tenant, running_nats
from tests.kit.scripted_nats import ScriptedNats, info

SEED = b"s" * 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with running_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen, for ten seconds at most."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def test_so_many_accounts_that_their_list_takes_longer_than_one_answer_may(shared: Nats) -> None:
    tenants = [make_tenant(f"t{number}") for number in range(40)]

    def slowly(got: list[bytes]) -> bool:
        time.sleep(0.03)
        return not got[-1]

    async with shared.authority() as authority:
        await authority.reconcile(tenants)
    async with Authority(shared.url, shared.operator, answer_seconds=1, spare_seconds=0) as authority:
        started = time.monotonic()
        assert len(await authority._link.gather("$SYS.REQ.CLAIMS.PACK", slowly)) > len(tenants)
        assert time.monotonic() - started > 1


async def test_closing_while_nats_is_away_raises_nothing(tmp_path: Path) -> None:
    """nats-py sends what is left in its buffer when it closes, and raises when there is nobody to send to."""
    async with running_nats(tmp_path) as nats:
        authority = nats.authority()
        await authority.open()
        client = authority._link._client
        assert client is not None
    await until(lambda: not client.is_connected)
    await client.publish("$SYS.REQ.SERVER.PING.STATSZ", b"left")
    await authority.close()
    assert client.is_closed


async def test_the_authority_outlives_its_client(tmp_path: Path) -> None:
    """nats-py closes for good on most errors that the server reports."""
    async with running_nats(tmp_path) as nats, nats.authority() as authority:
        client = authority._link._client
        assert client is not None
        await client.close()
        tenant = make_tenant("acme")
        await authority.push(tenant)
        assert await nats.admits(tenant)


@asynccontextmanager
async def configured(config: str, data: Path) -> AsyncIterator[str]:
    """A nats-server with this configuration."""
    server = NatsServer(config, data)
    await server.start()
    try:
        yield server.url
    finally:
        await server.stop()


async def refusal(url: str, operator: Operator, *, open_seconds: float = 5.0) -> str:
    """What the authority says when it refuses this bus."""
    authority = Authority(url, operator, open_seconds=open_seconds)
    with pytest.raises(BusRefusedError) as raised:
        await authority.open()
    message = str(raised.value)
    assert "\n" not in message
    return message


async def test_a_nats_that_lets_anybody_in_is_refused(tmp_path: Path) -> None:
    async with configured('listen: "127.0.0.1:-1"', tmp_path) as url:
        message = await refusal(url, Operator(SEED, WallClock()))
    assert "lets anybody in" in message
    assert "artcafe nats-config" in message


@pytest.mark.parametrize(
    "asks", ['authorization { user: "a", password: "b" }', 'authorization { token: "t" }']
)
async def test_a_nats_with_passwords_is_refused(tmp_path: Path, asks: str) -> None:
    async with configured(f'listen: "127.0.0.1:-1"\n{asks}', tmp_path) as url:
        message = await refusal(url, Operator(SEED, WallClock()))
    assert "does not know this installation" in message
    assert "artcafe nats-config" in message


async def test_another_installations_nats_is_refused(shared: Nats) -> None:
    message = await refusal(shared.url, Operator(SEED, WallClock()))
    assert "does not know this installation" in message
    assert "artcafe nats-config" in message


async def test_a_password_in_the_url_is_not_repeated(shared: Nats) -> None:
    url = shared.url.replace("nats://", "nats://user:hunter2@")
    message = await refusal(url, Operator(SEED, WallClock()))
    assert "hunter2" not in message
    assert shared.url.removeprefix("nats://") in message


def edited(data: Path, old: str, new: str) -> tuple[Operator, str]:
    """An operator, and its configuration with a change of what this pattern matches."""
    operator = Operator(SEED, WallClock())
    config = operator.server_config(server_name="n1", listen="127.0.0.1:-1", data_dir=data)
    config, changes = re.subn(old, new, config)
    assert changes == 1
    return operator, config


async def test_a_nats_that_acknowledges_before_the_disk_is_refused(tmp_path: Path) -> None:
    operator, config = edited(tmp_path, "sync_interval: always", 'sync_interval: "2m"')
    async with configured(config, tmp_path) as url:
        message = await refusal(url, operator)
    assert "sync_interval: always" in message


async def test_a_nats_without_jetstream_is_refused(tmp_path: Path) -> None:
    operator, config = edited(tmp_path, r"jetstream \{", "jetstream {\n  enabled: false")
    async with configured(config, tmp_path) as url:
        message = await refusal(url, operator)
    assert "without JetStream" in message


async def test_a_nats_without_our_accounts_is_refused(tmp_path: Path) -> None:
    control = Operator(SEED, WallClock()).control_account()[0]
    operator, config = edited(tmp_path, f"{control}: .*", "")
    async with configured(config, tmp_path) as url:
        message = await refusal(url, operator)
    assert "lacks this installation's own accounts" in message


async def test_a_nats_that_cannot_learn_accounts_is_refused(tmp_path: Path) -> None:
    operator, config = edited(tmp_path, r"resolver \{[^}]*\}", "resolver: MEMORY")
    async with configured(config, tmp_path) as url:
        message = await refusal(url, operator)
    assert "cannot learn accounts" in message


async def test_where_nothing_answers_the_address_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    message = await refusal(f"nats://{place}", Operator(SEED, WallClock()), open_seconds=0.2)
    assert place in message
    assert "artcafe up" in message


async def test_a_nats_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    async with running_nats(tmp_path, seed=SEED) as nats:
        listen, operator = nats.url.removeprefix("nats://"), nats.operator
    authority = Authority(f"nats://{listen}", operator)
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(authority.open())
        await asyncio.sleep(0.1)
        async with running_nats(tmp_path, seed=SEED, listen=listen):
            await opening
            await authority.close()


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:4222", "http://x:4222", "nats://", "nats://x:port", "nats://a,b"]
)
async def test_what_is_not_a_url_of_nats_is_refused(url: str) -> None:
    assert "nats://host:4222" in await refusal(url, Operator(SEED, WallClock()))


async def test_one_server_of_several_is_enough(shared: Nats) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"nats://127.0.0.1:{taken.getsockname()[1]}"
    async with Authority(f"{dead}, {shared.url}", shared.operator) as authority:
        await authority.push(make_tenant("acme"))


async def test_nothing_is_told_to_a_server_without_tls_that_has_to_have_it() -> None:
    """nats-py logged in to the system account in the clear, when whoever answered did not ask for TLS."""
    async with ScriptedNats(info(auth_required=True)) as far:
        message = await refusal(f"tls://{far.server}", Operator(SEED, WallClock()), open_seconds=0.2)
        assert "does not speak TLS" in message
        assert not far.got


async def test_tls_is_asked_of_all_servers_or_of_none() -> None:
    message = await refusal("tls://127.0.0.1:1,nats://127.0.0.1:2", Operator(SEED, WallClock()))
    assert "all as tls://" in message
