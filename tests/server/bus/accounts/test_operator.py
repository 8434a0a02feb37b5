"""What the operator mints, read back and, where it matters, shown to a real nats-server."""

import base64
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.errors import Error as NatsError

from artcafe.server.bus.accounts.operator import CONTROL, Operator
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.nkeys import KeyPair, NkeyKind, read_token, write_token
from artcafe.wire.subjects import to_bus
from tests.kit.nats import Nats, WallClock, connected, make_tenant, running_nats

SEED = bytes(range(32))


class StoppedClock:
    """A clock that stands at one moment."""

    def __init__(self, seconds: float = 1_800_000_000.9) -> None:
        self.seconds = seconds

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self.seconds

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.seconds


@pytest.fixture
def operator() -> Operator:
    return Operator(SEED, StoppedClock())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with running_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


def test_a_secret_names_the_same_accounts_for_ever(operator: Operator) -> None:
    """Accounts in the field hang on these: another derivation would orphan every one of them."""
    assert operator.public == "ODJL6FAT2SSXP4EF7KOSTN6JOM4YBWJLDSWSZVXDN2ECNSCNTTLMZZOQ"
    assert operator.system_account()[0] == "ABLLGD4KHRURWHGLITPUAKDIYCBFA54ETUYEPJ3VSTAW6JL6J3J2BJRB"
    assert operator.control_account()[0] == "ACCMVW32ILW7OTO3U5BPKO7R5XJWJ6IBAHOTNCR3CPIPCSLWQ5R3UZCQ"
    assert (
        operator.account_id(make_tenant("acme", "r1"))
        == "ABZTHZQA77PZJG5ODXWL3M46QUMZHIHGIG3E4GCRQROG3D6N4HDQH4BH"
    )


def test_another_secret_is_another_installation(operator: Operator) -> None:
    other = Operator(SEED[::-1], StoppedClock())
    tenant = make_tenant("acme", "r1")
    assert other.public != operator.public
    assert other.account_id(tenant) != operator.account_id(tenant)


@pytest.mark.parametrize("secret", [b"", b"x" * 31, b"x" * 33])
def test_the_secret_is_32_bytes(secret: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Operator(secret, StoppedClock())


def test_every_account_is_another(operator: Operator) -> None:
    tenants = [
        make_tenant("acme", "r1"),
        make_tenant("acme", "r2"),
        make_tenant("acme2", "r1"),
        make_tenant("system", ""),
        make_tenant("control", ""),
    ]
    ids = [operator.account_id(tenant) for tenant in tenants]
    own = [operator.system_account()[0], operator.control_account()[0]]
    assert len({*ids, *own}) == 7


def test_the_operator_trusts_its_signing_key_alone(operator: Operator) -> None:
    claims = read_token(operator.operator_jwt())
    assert claims["iss"] == claims["sub"] == operator.public
    assert claims["nats"]["signing_keys"] == [operator.signer] != [operator.public]
    assert claims["nats"]["strict_signing_key_usage"] is True
    assert claims["nats"]["system_account"] == operator.system_account()[0]


def test_accounts_are_signed_by_the_signing_key_and_name_their_tenant(operator: Operator) -> None:
    tenant = make_tenant("acme", "r1")
    claims = read_token(operator.account_jwt(tenant))
    assert claims["iss"] == operator.signer
    assert claims["sub"] == operator.account_id(tenant)
    assert claims["name"] == "acme"
    assert claims["nats"]["tags"] == ["tenant:acme"]
    assert claims["nats"]["limits"]["leaf"] == 0
    assert read_token(operator.control_account()[1])["name"] == CONTROL


def test_an_account_is_issued_now_or_after_what_is_held(operator: Operator) -> None:
    tenant = make_tenant("acme", "r1")
    assert read_token(operator.account_jwt(tenant))["iat"] == 1_800_000_000
    assert read_token(operator.account_jwt(tenant, newer_than=5))["iat"] == 1_800_000_000
    assert read_token(operator.account_jwt(tenant, newer_than=1_800_000_000))["iat"] == 1_800_000_001


def test_the_same_account_is_told_from_another_whenever_it_was_issued(operator: Operator) -> None:
    tenant = make_tenant("acme", "r1")
    jwt = operator.account_jwt(tenant, newer_than=1_900_000_000)
    claims = read_token(jwt)
    more = claims | {"nats": claims["nats"] | {"limits": claims["nats"]["limits"] | {"conn": 1}}}
    signer = KeyPair.derive(SEED, "operator-signing", NkeyKind.operator)
    assert signer.public == operator.signer
    assert operator.same_account(tenant, jwt)
    assert operator.same_account(tenant, write_token(signer, claims))
    assert not operator.same_account(tenant, write_token(signer, more))
    assert not operator.same_account(make_tenant("acme", "r2"), jwt)
    assert not operator.same_account(tenant, write_token(KeyPair.random(NkeyKind.operator), claims))
    assert not operator.same_account(tenant, jwt[:-8])
    assert not operator.same_account(tenant, "")


def test_a_user_belongs_to_its_account_without_an_end() -> None:
    clock = StoppedClock()
    operator = Operator(SEED, clock)
    tenant = make_tenant("acme", "r1")
    credentials = operator.credentials(tenant)
    first = read_token(credentials.jwt().decode())
    clock.seconds += 3600
    second = read_token(credentials.jwt().decode())
    account = read_token(operator.account_jwt(tenant))
    assert first["nats"]["issuer_account"] == credentials.account == operator.account_id(tenant)
    assert [first["iss"]] == account["nats"]["signing_keys"] != [credentials.account]
    assert "exp" not in first, "NATS would end the connection with it"
    assert (second["iat"], second["sub"]) == (first["iat"] + 3600, first["sub"])


def test_each_credentials_have_a_user_of_their_own(operator: Operator) -> None:
    tenant = make_tenant("acme", "r1")
    users = [read_token(operator.credentials(tenant).jwt().decode())["sub"] for _ in range(3)]
    assert len(set(users)) == 3


def test_users_are_allowed_what_they_need_and_nothing_else(operator: Operator) -> None:
    def allowed(credentials: NatsCredentials) -> tuple[Any, Any]:
        user = read_token(credentials.jwt().decode())["nats"]
        assert user["allowed_connection_types"] == ["STANDARD"]
        return user["pub"], user["sub"]

    messages = ["m.>", "d.>", "i.>", "r.>"]
    reads = ["$JS.API.DIRECT.GET.*", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*"]
    work = ["$JS.API.CONSUMER.MSG.NEXT.*.*", "$JS.ACK.>"]
    inboxes = ["q.*.*", "w.*.*", "$JS.API.STREAM.PURGE.INBOX", "$JS.API.STREAM.MSG.DELETE.INBOX"]
    gateway = operator.credentials(make_tenant("acme", "r1"))
    assert allowed(gateway) == (
        {"allow": [*messages, "_INBOX.>", "p.>", "x.>", *reads, *work, *inboxes]},
        {"allow": [*messages, "w.>", f"{gateway.inbox}.>"]},
    )
    streams = operator.streams_credentials(make_tenant("acme", "r1"))
    publish, subscribe = allowed(streams)
    assert subscribe == {"allow": [f"{streams.inbox}.>"]}
    assert all(subject.startswith(("$JS.API.STREAM.", "$JS.API.CONSUMER.")) for subject in publish["allow"])
    assert not {*reads, *work} & set(publish["allow"])
    control = operator.control_credentials()
    assert allowed(control) == ({"allow": ["control.>"]}, {"allow": ["control.>", f"{control.inbox}.>"]})
    system = operator.system_credentials()
    publish, subscribe = allowed(system)
    assert subscribe == {"allow": [f"{system.inbox}.>"]}
    assert all(subject.startswith(("$SYS.REQ.", "$JS.API.ACCOUNT.PURGE.")) for subject in publish["allow"])


def test_an_account_reserves_nothing_and_demands_a_bound_of_each_stream(operator: Operator) -> None:
    limits = read_token(operator.account_jwt(make_tenant("acme", "r1")))["nats"]["limits"]
    assert (limits["disk_storage"], limits["mem_storage"], limits["max_bytes_required"]) == (-1, 0, True)


def test_the_configuration_holds_no_secret_and_a_nats_server_accepts_it(
    operator: Operator, tmp_path: Path
) -> None:
    text = operator.server_config(
        server_name="n1", listen="127.0.0.1:4222", data_dir=tmp_path / "with space", monitor="127.0.0.1:8222"
    )
    assert SEED.hex() not in text
    assert base64.b32encode(SEED).decode().rstrip("=") not in text
    assert "sync_interval: always" in text
    file = tmp_path / "nats.conf"
    file.write_text(text)
    binary = Path(sysconfig.get_path("scripts")) / "nats-server"
    done = subprocess.run([binary, "-t", "-c", file], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", ['/data/"quoted"', "/data/back\\slash", "/data/new\nline"])
def test_nothing_breaks_out_of_the_configuration(operator: Operator, path: str) -> None:
    with pytest.raises(ValueError, match="NATS configuration"):
        operator.server_config(server_name="n1", listen="127.0.0.1:4222", data_dir=Path(path))


class Guest:
    """A connection, and what the server held against it."""

    def __init__(self, client: Client, complaints: list[str]) -> None:
        self.client = client
        self.complaints = complaints

    async def refused(self, subject: str) -> bool:
        """Publish, and tell whether the server refused."""
        self.complaints.clear()
        await self.client.publish(subject, b"x")
        return await self._complained()

    async def deaf(self, pattern: str) -> bool:
        """Subscribe, and tell whether the server refused."""
        self.complaints.clear()
        subscription = await self.client.subscribe(pattern)
        complained = await self._complained()
        await subscription.unsubscribe()
        return complained

    async def _complained(self) -> bool:
        # Twice: the PING of nats-py's first flush goes out before the commands that wait in its buffer.
        await self.client.flush()
        await self.client.flush()
        return any("permissions violation" in complaint for complaint in self.complaints)


@asynccontextmanager
async def guest_of(url: str, credentials: NatsCredentials) -> AsyncIterator[Guest]:
    """A connection as this user. Raises NatsError when the server refuses."""
    complaints: list[str] = []
    async with connected(url, credentials, complaints) as client:
        yield Guest(client, complaints)


async def test_a_tenants_user_speaks_its_messages_only(server: Nats) -> None:
    tenant = make_tenant("acme")
    async with server.authority() as authority:
        await authority.push(tenant)
    async with guest_of(server.url, server.operator.credentials(tenant)) as guest:
        allowed = [
            to_bus("a1", "tasks.new"),
            to_bus("a1", "agents.a2.hello"),
            to_bus("a1", "inbox.a2.t1"),
            to_bus("sys", "presence.a1"),
        ]
        assert [subject for subject in allowed if await guest.refused(subject)] == []
        denied = ["x", "m", "control.x", "$SYS.REQ.USER.INFO", "$JS.API.INFO", "$JS.API.STREAM.CREATE.S"]
        assert [subject for subject in denied if not await guest.refused(subject)] == []
        heard = ["m.>", "d.>", "i.>", "r.>", "m.*.a"]
        assert [pattern for pattern in heard if await guest.deaf(pattern)] == []
        hidden = [">", "*.>", "$SYS.>", "$JS.>", "control.>", "_INBOX.>", "_INBOX.*.*"]
        assert [pattern for pattern in hidden if not await guest.deaf(pattern)] == []


async def test_a_process_hears_the_control_account_and_no_tenant(server: Nats) -> None:
    async with guest_of(server.url, server.operator.control_credentials()) as guest:
        assert not await guest.refused("control.agents")
        assert not await guest.deaf("control.>")
        assert await guest.refused("m.a.x")
        assert await guest.deaf("$SYS.>")


async def test_users_that_this_installation_did_not_make_are_refused(server: Nats) -> None:
    tenant = make_tenant("acme")
    async with server.authority() as authority:
        await authority.push(tenant)
    stranger = Operator(SEED, WallClock())
    assert await server.admits(tenant)
    strangers = [
        stranger.credentials(tenant),
        stranger.system_credentials(),
        Forged(server.operator.credentials(tenant), server.operator.credentials(tenant)),
    ]
    for credentials in strangers:
        with pytest.raises(NatsError, match="Authorization Violation"):
            async with connected(server.url, credentials):
                pass


class Forged(NatsCredentials):
    """The JWT of one user with the signature of another."""

    def __init__(self, shown: NatsCredentials, signing: NatsCredentials) -> None:
        self.inbox = shown.inbox
        self._shown = shown
        self._signing = signing

    def jwt(self) -> bytes:
        """Somebody's JWT."""
        return self._shown.jwt()

    def sign(self, nonce: str) -> bytes:
        """Somebody else's signature."""
        return self._signing.sign(nonce)
