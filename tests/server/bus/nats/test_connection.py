"""One connection: what leaves, what is delivered, and everything that ends it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from artcafe.server.bus.nats.connection import (
    LONGEST_PATTERN,
    MOST_DENIED,
    SHOWN,
    UNANSWERED,
    NatsConnection,
    NotConnectedError,
)
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.servers import ServerAddress, server_address
from artcafe.server.bus.nats.window import WINDOW_BYTES
from artcafe.server.embedded.nats_server import NatsServer
from tests.kit.certificates import certificate_files
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.nats import Nats
from tests.kit.proxy import Proxy
from tests.kit.scripted_nats import ScriptedNats, info
from tests.kit.turns import turns

COMMAND = b"PUB m.a 1000\r\n" + b"x" * 1000 + b"\r\n"


@pytest.fixture
def credentials(nats: Nats) -> NatsCredentials:
    """Those of a user that every nats-server of the installation knows."""
    return nats.operator.control_credentials()


@pytest_asyncio.fixture
async def far() -> AsyncIterator[ScriptedNats]:
    """The other end."""
    async with ScriptedNats() as far:
        yield far


@asynccontextmanager
async def opened(
    server: ServerAddress,
    credentials: NatsCredentials,
    tls: ssl.SSLContext | None = None,
    ping_seconds: float = 60,
) -> AsyncIterator[NatsConnection]:
    """A connection, which is closed at the end."""
    connection = NatsConnection(lambda: None, ping_seconds)
    await connection.open(server, credentials, "test", tls)
    try:
        yield connection
    finally:
        await connection.end()


async def test_one_read_is_delivered_in_order_and_to_nobody_who_left(
    far: ScriptedNats, credentials: NatsCredentials
) -> None:
    async with opened(far.server, credentials) as connection:
        got: list[str] = []

        def first(subject: str, payload: bytes) -> None:
            got.append(f"first {subject} {payload.decode()}")
            # What was read before is not delivered any more.
            connection.leave(third)

        connection.take("m.a", None, first)
        connection.take("m.>", "group", lambda subject, payload: got.append(f"second {payload.decode()}"))
        third = connection.take("m.b", None, lambda subject, payload: got.append("third"))
        await eventually(lambda: far.got[-3:] == ["SUB m.a 1", "SUB m.> group 2", "SUB m.b 3"])
        far.say(
            b"MSG m.a 2 2\r\nm1\r\nMSG m.a 1 2\r\nm2\r\nMSG m.b 3 2\r\nm3\r\nMSG m.c 99 2\r\nm4\r\n"
            b"HMSG m.a 2 _r.1 12 14\r\nNATS/1.0\r\n\r\nm5\r\n"
        )
        await eventually(lambda: len(got) == 3)
        assert got == ["second m1", "first m.a m2", "second m5"]
        await eventually(lambda: far.got[-1] == "UNSUB 3")


class Recording(asyncio.Transport):
    """Where a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """It never ends."""
        return False


async def test_what_is_handed_over_in_one_turn_leaves_in_one_write_and_in_order() -> None:
    transport = Recording()
    connection = NatsConnection(lambda: None)
    connection.connection_made(transport)
    for turn in range(2):
        for number in range(3):
            connection.window.send(b"PUB m.a 1\r\n%d\r\n" % number)
        number = connection.take("m.>", None, lambda subject, payload: None)
        connection.window.ping(None)
        connection.leave(number)
        await asyncio.sleep(0)
        assert transport.written[turn:] == [
            b"PUB m.a 1\r\n0\r\nPUB m.a 1\r\n1\r\nPUB m.a 1\r\n2\r\n"
            b"SUB m.> %d\r\nPING\r\nUNSUB %d\r\n" % (number, number)
        ]


async def test_the_window_closes_and_a_confirmation_opens_it(
    far: ScriptedNats, credentials: NatsCredentials
) -> None:
    answered: list[bool] = []
    connection = NatsConnection(lambda: answered.append(True))
    await connection.open(far.server, credentials, "test")
    far.answering = False
    taken = 0
    while connection.window.send(COMMAND):
        taken += len(COMMAND)
    assert WINDOW_BYTES <= taken == connection.window.unconfirmed < WINDOW_BYTES + len(COMMAND)
    assert not connection.window.settled
    await eventually(lambda: far.got.count("PING") == 2, "asking at half of the window")
    assert not answered
    far.say(b"PONG\r\n")
    await eventually(lambda: answered)
    assert 0 < connection.window.unconfirmed <= WINDOW_BYTES // 2 + len(COMMAND)
    assert connection.window.send(COMMAND)
    await connection.end()


async def test_a_ping_is_answered_and_each_pong_is_for_who_asked_first(
    far: ScriptedNats, credentials: NatsCredentials
) -> None:
    async with opened(far.server, credentials) as connection:
        far.answering = False
        loop = asyncio.get_running_loop()
        first, second, third = (loop.create_future() for _ in range(3))
        for pong in (first, second, third):
            connection.window.ping(pong)
        second.cancel()
        far.say(b"PONG\r\nPING\r\n")
        assert await first
        assert not third.done()
        await eventually(lambda: far.got[-1] == "PONG")
        far.say(b"PONG\r\nPONG\r\nPONG\r\n")
        assert await third
        waiting = loop.create_future()
        connection.window.ping(waiting)
    assert waiting.result() is False


async def test_a_connection_on_which_nothing_is_answered_ends(
    far: ScriptedNats, credentials: NatsCredentials
) -> None:
    async with opened(far.server, credentials, ping_seconds=0.01) as connection:
        await eventually(lambda: far.got.count("PING") > 6)
        assert not connection.ended.is_set()
        far.answering = False
        await asyncio.wait_for(connection.ended.wait(), PATIENCE)
        assert connection.fault == f"NATS left {UNANSWERED} pings unanswered"
        connection.window.send(COMMAND)
        connection.leave(1)
    await eventually(lambda: far.open == 0)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("User Authentication Expired", "NATS refused the login: User Authentication Expired"),
        ("Stale Connection", "NATS refused a connection on which nothing was heard: Stale Connection"),
        ("Slow Consumer", "NATS refused a reader that is too slow: Slow Consumer"),
        ("Maximum Payload Violation", "NATS refused a message that is too large: Maximum Payload Violation"),
        ("something new", "NATS refused for a reason of its own: something new"),
    ],
)
async def test_a_refusal_that_ends_it_is_named(
    far: ScriptedNats, credentials: NatsCredentials, text: str, fault: str
) -> None:
    async with opened(far.server, credentials) as connection:
        far.say(f"-ERR '{text}'\r\n".encode())
        await asyncio.wait_for(connection.ended.wait(), PATIENCE)
        assert connection.fault == fault


async def test_a_refusal_that_ends_nothing_is_logged(
    far: ScriptedNats, credentials: NatsCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(far.server, credentials) as connection:
        far.say(
            b'-ERR \'Permissions Violation for Subscription to "m.Ab.>" using queue "q"\'\r\n'
            b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n"
            b"-ERR 'Invalid Subject'\r\n-ERR 'maximum subscriptions exceeded'\r\n"
        )
        pong = asyncio.get_running_loop().create_future()
        connection.window.ping(pong)
        assert await pong
        assert list(connection.denied) == ["m.Ab.>"]
        assert connection.crowded == 1
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 4


async def test_what_a_server_denies_without_an_end_is_forgotten(
    far: ScriptedNats, credentials: NatsCredentials
) -> None:
    async with opened(far.server, credentials) as connection:
        denial = "-ERR 'Permissions Violation for Subscription to \"{}\"'\r\n"
        patterns = [f"m.{number}" for number in range(MOST_DENIED + 10)]
        far.say("".join(denial.format(pattern) for pattern in patterns).encode())
        far.say(denial.format("x" * (LONGEST_PATTERN + 1)).encode())
        pong = asyncio.get_running_loop().create_future()
        connection.window.ping(pong)
        assert await pong
        assert list(connection.denied) == patterns[10:]


async def test_a_refusal_of_many_words_is_cut_in_the_log(
    far: ScriptedNats, credentials: NatsCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(far.server, credentials) as connection:
        far.say(b"-ERR 'Invalid Subject " + b"x" * 200_000 + b"'\r\n")
        await eventually(lambda: caplog.records)
        far.say(b"-ERR '" + b"y" * 200_000 + b"'\r\n")
        await asyncio.wait_for(connection.ended.wait(), PATIENCE)
        assert connection.fault.endswith("yy …")
        assert len(connection.fault) < SHOWN + 100
    assert caplog.records[0].message.startswith(
        "NATS refused what this process asked for: Invalid Subject xx"
    )
    assert len(caplog.records[0].message) < SHOWN + 100


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 200 OK\r\n\r\n", b"MSG x\r\n", b"INFO {\r\n"])
async def test_nonsense_ends_it(far: ScriptedNats, credentials: NatsCredentials, nonsense: bytes) -> None:
    async with opened(far.server, credentials) as connection:
        far.say(nonsense)
        await asyncio.wait_for(connection.ended.wait(), PATIENCE)
        assert connection.fault
    await eventually(lambda: far.open == 0)


@pytest.mark.parametrize(
    ("first", "then", "fault"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", b"", "does not speak as NATS"),
        (b"INFO x\r\n", b"", "no INFO that can be read"),
        (info(nonce="a text to sign"), b"", "no nonce"),
        (b"-ERR 'maximum connections exceeded'\r\n", b"", "too many connections"),
        (info(), b"-ERR 'Authorization Violation'\r\n", "the login: Authorization Violation"),
        (info() + b"PONG\r\n", b"", "does not speak as NATS"),
        (b"PONG\r\n" + info(), b"", "does not speak as NATS"),
        (info(tls_required=True) + b"MSG a 1 9\r\n", b"", "does not speak as NATS"),
    ],
)
async def test_a_connection_that_is_not_made_leaves_nothing_open(
    credentials: NatsCredentials, first: bytes, then: bytes, fault: str
) -> None:
    async with ScriptedNats(first, then) as far:
        with pytest.raises((NotConnectedError, ValueError), match=fault):
            await NatsConnection(lambda: None).open(far.server, credentials, "test")
        await eventually(lambda: far.open == 0)
        if then == b"":
            assert far.got == [], "nothing is told to whom is no NATS"


async def test_closing_does_not_wait_for_a_server_that_stalls(
    nats: Nats, credentials: NatsCredentials
) -> None:
    async with Proxy(nats.url) as proxy:
        connection = NatsConnection(lambda: None)
        await connection.open(server_address(proxy.url), credentials, "test")
        proxy.stalled = True
        # More than the sockets on the way have room for.
        connection.window.send(b"x" * 16_000_000)
        await turns()
        async with asyncio.timeout(PATIENCE):
            await connection.end()
        proxy.stalled = False
        await eventually(lambda: proxy.open == 0)


async def test_closing_sends_what_was_handed_over(far: ScriptedNats, credentials: NatsCredentials) -> None:
    async with opened(far.server, credentials) as connection:
        connection.window.send(b"PUB m.a 1\r\n1\r\n")
    await eventually(lambda: far.got[-2:] == ["PUB m.a 1", "1"])


async def test_tls_is_spoken_where_it_is_asked_for_and_who_answers_has_to_prove_it(
    nats: Nats, credentials: NatsCredentials, tmp_path: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    config = nats.operator.server_config(server_name="tls", listen="127.0.0.1:-1", data_dir=tmp_path / "data")
    config += f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n'
    running = NatsServer(config, tmp_path / "data")
    await running.start()
    try:
        address = running.url.rpartition("/")[2]
        trusting = ssl.create_default_context(cafile=certificate)
        got: list[bytes] = []
        large = bytes(range(256)) * 1000
        for scheme in ("nats", "tls"):
            async with opened(server_address(f"{scheme}://{address}"), credentials, trusting) as connection:
                connection.take("control.x", None, lambda subject, payload: got.append(payload))
                connection.window.send(b"PUB control.x %d\r\n%b\r\n" % (len(large), large))
                await eventually(lambda: got and got.pop() == large)
        with pytest.raises(ssl.SSLCertVerificationError):
            await NatsConnection(lambda: None).open(server_address(f"nats://{address}"), credentials, "test")
        other = ServerAddress("127.0.0.1", int(address.rpartition(":")[2]), True, "other.example")
        with pytest.raises(ssl.SSLCertVerificationError):
            await NatsConnection(lambda: None).open(other, credentials, "test", trusting)
    finally:
        await running.stop()


async def test_nothing_is_told_to_a_server_without_tls_that_has_to_have_it(
    far: ScriptedNats, credentials: NatsCredentials
) -> None:
    secure = server_address(f"tls://{far.server}")
    with pytest.raises(NotConnectedError, match="does not speak TLS"):
        await NatsConnection(lambda: None).open(secure, credentials, "test")
    await eventually(lambda: far.open == 0)
    assert far.got == []
