"""Generated frames and raw HTTP against a running platform end without a crash, a 500 or growth.

`make fuzz` does it for five minutes. `FUZZ_SEED=7 FUZZ_SECONDS=60 pytest tests/e2e/test_wire_fuzz.py` sends
other conversations than the usual ones, for a minute.
"""

import asyncio
import json
import math
import os
import random
import re
import time
from collections.abc import Callable, Coroutine, Iterator

import pytest

from benchmarks.measure import memory_bytes
from tests.kit import frame_fuzz, http_fuzz
from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.raw_websocket import TEXT, RawClient, masked, raw_client, raw_websocket
from tests.kit.signing import KeyPair

SEED = int(os.environ.get("FUZZ_SEED", "1"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "10"))
"""Of both kinds together, each in two halves."""

AT_ONCE = 8
KEPT_BYTES = 48 << 20
"""What the server may have grown by when it hears what it heard before, once its caches are filled."""

INTERNAL = 1011
ALLOWED_5XX = {501, 503, 505}
"""Not a fault: a method or version that is not implemented, or a bound on connections."""

TENANT, BYSTANDER = "fuzzed", "bystander"

pytestmark = pytest.mark.timeout(2 * SECONDS + 120)
SUBPROTOCOL = "Sec-WebSocket-Protocol: artcafe.v1\r\n"


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform of its own: what is looked for is in its log, and in its memory."""
    with running_platform(tmp_path_factory.mktemp("fuzz") / "data") as platform:
        yield platform


@pytest.fixture(scope="module")
def keys(fuzzed: RunningPlatform) -> dict[str, KeyPair]:
    """An agent in each tenant, and its key by the tenant's name."""
    made = {}
    for tenant in (TENANT, BYSTANDER):
        fuzzed.make_tenant(tenant, subscription_tier="enterprise")
        made[tenant] = KeyPair()
        with fuzzed.rest(tenant) as rest:
            body = {"id": "fuzzer", "name": "fuzzer", "public_key": made[tenant].line}
            assert rest.post("/agents", json=body).status_code == 201
    return made


def port_of(platform: RunningPlatform) -> int:
    return int(platform.url.rpartition(":")[2])


async def log_in(client: RawClient, key: KeyPair) -> None:
    """Answer the challenge that comes first."""
    _, payload = await client.frame()
    signature = key.sign(json.loads(payload)["text"])
    client.write(masked(json.dumps({"type": "auth", "format": "raw", "signature": signature}).encode()))
    _, payload = await client.frame()
    assert json.loads(payload)["type"] == "welcome", payload


def agent_path(tenant: str) -> str:
    return f"/api/v1/ws/agent/fuzzer?tenant_id={tenant}"


async def talk(platform: RunningPlatform, keys: dict[str, KeyPair], choose: random.Random) -> None:
    """One connection of one of four kinds; what it sends is generated. Its CLOSE must not say 1011."""
    kind = choose.choice(("agent", "agent", "stranger", "dashboard"))
    path, more = agent_path(TENANT), SUBPROTOCOL
    if kind == "dashboard":
        path = f"/api/v1/ws/dashboard?tenant_id={TENANT}&token={platform.token()}"
        more = ""
    try:
        async with raw_websocket(port_of(platform), path, more=more) as client:
            if kind == "agent":
                await log_in(client, keys[TENANT])
            client.write(frame_fuzz.conversation(choose))
            client.write(masked(b'{"type":"ping"}') + masked(b"\x03\xe8", 8))
            # Nothing comes where the last frame has no end: then it leaves, and the log tells of faults.
            async with asyncio.timeout(2):
                await closed_by_the_server(client)
    except (OSError, asyncio.IncompleteReadError):
        return  # It may hang up in the middle of what comes.


async def closed_by_the_server(client: RawClient) -> None:
    """Read to the end; raises AssertionError for the close code of a fault."""
    while True:
        opcode, payload = await client.frame()
        if opcode == 8:
            assert int.from_bytes(payload[:2], "big") != INTERNAL
            return


async def ask(platform: RunningPlatform, _: dict[str, KeyPair], choose: random.Random) -> None:
    """One connection with generated HTTP; no answer on it may be a fault's."""
    sent = http_fuzz.conversation(choose)
    said = b""
    try:
        async with raw_client(port_of(platform)) as client:
            client.write(sent)
            client.writer.write_eof()
            said = await client.ended()
    except OSError:
        return  # A request whose body never comes is waited for.
    statuses = {int(status) for status in re.findall(rb"(?:^|\r\n)HTTP/1\.[01] (\d{3}) ", said)}
    assert not {status for status in statuses if status >= 500} - ALLOWED_5XX, (sent[:2000], said[:2000])


async def bystander_is_served(platform: RunningPlatform, keys: dict[str, KeyPair]) -> None:
    """An agent of another tenant logs in and has its message delivered."""
    async with raw_websocket(port_of(platform), agent_path(BYSTANDER), more=SUBPROTOCOL) as client:
        await log_in(client, keys[BYSTANDER])
        client.write(masked(b'{"type":"subscribe","subject":"a","id":"1"}'))
        assert (await client.frame())[0] == TEXT
        client.write(masked(b'{"type":"publish","subject":"a","data":7}'))
        assert json.loads((await client.frame())[1])["data"] == 7


Conversation = Callable[[RunningPlatform, dict[str, KeyPair], random.Random], Coroutine[None, None, None]]


async def fuzz(
    platform: RunningPlatform, keys: dict[str, KeyPair], conversation: Conversation, most: int | None
) -> int:
    """Hold so many conversations, without a number until the time is over; how many."""
    numbers = iter(range(1_000_000_000 if most is None else most))
    end = math.inf if most is not None else time.monotonic() + SECONDS / 4
    count = 0

    async def one() -> None:
        nonlocal count
        for number in numbers:
            try:
                await conversation(platform, keys, random.Random(f"{SEED}/{number}"))
            except AssertionError as error:
                raise AssertionError(f"conversation {number} of FUZZ_SEED={SEED}") from error
            count += 1
            if time.monotonic() >= end:
                return

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(one())
    return count


def fault_of(platform: RunningPlatform) -> str | None:
    """What ended the server, or the first traceback that it logged."""
    log = platform.log.read_text(errors="replace")
    if platform.process.poll() is not None:
        return log[-2000:]
    at = log.find("Traceback")
    return None if at < 0 else log[max(0, at - 500) : at + 4000]


@pytest.mark.parametrize("conversation", [talk, ask])
def test_whatever_a_client_sends_nobody_else_feels_it(
    fuzzed: RunningPlatform, keys: dict[str, KeyPair], conversation: Conversation
) -> None:
    async def run(most: int | None = None) -> int:
        await bystander_is_served(fuzzed, keys)
        count = await fuzz(fuzzed, keys, conversation, most)
        await bystander_is_served(fuzzed, keys)
        return count

    count = asyncio.run(run())  # Fills the caches.
    before = memory_bytes(fuzzed.process.pid)
    # The same conversations again, however fast the machine is by now.
    assert asyncio.run(run(count)) == count > 0
    assert fault_of(fuzzed) is None
    assert memory_bytes(fuzzed.process.pid) < before + KEPT_BYTES
