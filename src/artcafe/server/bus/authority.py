"""The one who tells NATS which accounts exist: the only holder of system-account credentials.

NATS believes whoever holds a user of the system account; it takes an older JWT as readily as a
newer one. So the store is the source of truth, and this makes NATS agree with it. In a cluster the
server that answers has done what was asked; the others follow within moments.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from artcafe.server.bus.nkeys import read_token
from artcafe.server.bus.operator import Operator
from artcafe.server.domain.tenant import TenantRules
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_RECONNECT_SECONDS = 0.5
_POLL_SECONDS = 0.02
_REST_SECONDS = 1.0
"""How long to wait for servers that others still count, though they are gone."""

_HINT = "Write its configuration with `artcafe nats-config` and restart it."

_log = logging.getLogger(__name__)


class BusRefusedError(Exception):
    """The NATS that was named cannot be this installation's bus: why, and what to do, for its operator."""


class _PlainError(NatsError):
    """A server that has to speak TLS does not."""


class _SecureClient(Client):
    """nats-py itself goes on in the clear when a server that is addressed as tls:// does not ask for TLS,
    so whoever stands between could take part in the proof, and speak for the system account."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and not info.get("tls_required"):
            raise _PlainError("the server does not speak TLS")
        await super()._process_info(info, initial_connection)


class Authority:
    """Tenants' accounts on a real NATS: ports.Accounts.

    One connection, which reconnects for ever. While NATS is away every call raises unavailable
    after a few seconds. What it asked for may have happened when NATS went away meanwhile.
    """

    def __init__(
        self,
        url: str,
        operator: Operator,
        *,
        open_seconds: float = 5.0,
        answer_seconds: float = 5.0,
        spare_seconds: int = 60,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the URL, or several of one cluster with commas between them.

        `open` waits `open_seconds` for a NATS that is starting, every question `answer_seconds`
        for its answer. `reconcile` spares accounts younger than `spare_seconds`. `tls` says whom to
        trust, as for NatsLink.
        """
        self._servers = [part.strip() for part in url.split(",")]
        self._operator = operator
        self._open_seconds = open_seconds
        self._answer_seconds = answer_seconds
        self._spare_seconds = spare_seconds
        self._credentials = operator.system_credentials()
        self._tls = tls
        self._connecting = asyncio.Lock()
        self._client: Client | None = None
        self._opening = True
        self._fault = ""
        self._closed = False

    async def __aenter__(self) -> "Authority":
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, and prove that this NATS is ours and keeps what it acknowledges.

        Raises BusRefusedError.
        """
        try:
            self._check_urls()
            async with asyncio.timeout(self._open_seconds):
                await self._connected()
            await self._prove()
        except BusRefusedError:
            await self.close()
            raise
        except (NatsError, OSError, TimeoutError) as error:
            await self.close()
            if self._fault:
                raise BusRefusedError(
                    f"The NATS at {self._place} cannot prove who it is: {self._fault}."
                ) from error
            raise BusRefusedError(
                f"No NATS answers at {self._place}. Start it, or run `artcafe up`, which brings its own."
            ) from error
        self._opening = False

    async def close(self) -> None:
        """Close the connection. Closing twice is allowed."""
        self._closed = True
        if self._client is not None:
            await _close(self._client)

    async def push(self, tenant: TenantRules) -> None:
        """Create or update the tenant's account; nothing happens when it stands there as it should.

        Effective on live connections when it returns. Raises unavailable.
        """
        with _translated():
            held = await self._held(self._operator.account_id(tenant))
            if held is None or not self._operator.same_account(tenant, held):
                await self._push(tenant, held)

    async def remove(self, tenant: TenantRules) -> None:
        """Delete the account with its streams: its connections end. Nothing happens when it is gone.

        Raises unavailable.
        """
        account = self._operator.account_id(tenant)
        with _translated():
            held = await self._held(account)
            if held is not None:
                await self._delete(account)

    async def reconcile(self, tenants: Sequence[TenantRules]) -> int:
        """Push what NATS lacks or holds differently, delete what no tenant owns; how many changed.

        `tenants` are all that exist. An account that is younger than `spare_seconds` is spared, though
        no tenant in the list owns it: another process may have made it since the list was read. The
        system account and the control account are left alone. Raises unavailable.
        """
        own = {self._operator.system_account()[0], self._operator.control_account()[0]}
        changed = 0
        with _translated():
            held = await self._every()
            for tenant in tenants:
                await asyncio.sleep(0)  # Checking signatures is work; let others have the loop.
                jwt = held.pop(self._operator.account_id(tenant), None)
                if jwt is None or not self._operator.same_account(tenant, jwt):
                    await self._push(tenant, jwt)
                    changed += 1
            now = self._operator.now()
            for account, jwt in held.items():
                if account not in own and abs(now - _issued(jwt)) >= self._spare_seconds:
                    await self._delete(account)
                    changed += 1
        return changed

    async def _push(self, tenant: TenantRules, held: str | None) -> None:
        jwt = self._operator.account_jwt(tenant, newer_than=0 if held is None else _issued(held))
        await self._change("$SYS.REQ.CLAIMS.UPDATE", jwt)

    async def _delete(self, account: str) -> None:
        # Streams first: asked about an account that it no longer has, NATS looks for it for half a second.
        answer = _object(await self._ask(f"$JS.API.ACCOUNT.PURGE.{account}"))
        if "error" in answer:
            _log.error("NATS did not delete the streams of account %s: %s", account, answer["error"])
            raise _unavailable("The streams of an account could not be deleted.")
        await self._change("$SYS.REQ.CLAIMS.DELETE", self._operator.deletion_jwt([account]))

    async def _change(self, subject: str, jwt: str) -> None:
        answer = _object(await self._ask(subject, jwt.encode()))
        if "error" in answer or answer.get("data", {}).get("code") != 200:
            _log.error("NATS refused a change of accounts: %s", answer)
            if "no space left" in f"{answer.get('error')}":
                raise _unavailable("The disk of the message bus is full.")
            raise _unavailable("The message bus refused a change of accounts.")

    async def _held(self, account: str) -> str | None:
        """The account's JWT as NATS holds it."""
        return (await self._ask(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP")).decode() or None

    async def _every(self) -> dict[str, str]:
        """Every account that NATS holds, with its JWT: a message for each, then an empty one."""
        packed = await self._gather("$SYS.REQ.CLAIMS.PACK", lambda got: not got[-1])
        pairs = (message.decode().partition("|") for message in packed[:-1])
        return {account: jwt for account, _, jwt in pairs}

    def _check_urls(self) -> None:
        if not all(map(_is_url, self._servers)):
            raise BusRefusedError("The address of NATS is a URL: nats://host:4222, or tls://host:4222.")
        if len({urlsplit(server).scheme for server in self._servers}) > 1:
            raise BusRefusedError("The servers of one NATS are all addressed as nats://, or all as tls://.")

    async def _prove(self) -> None:
        """Raises BusRefusedError unless every server is configured as `Operator.server_config` writes."""
        try:
            answers = await self._gather("$SYS.REQ.SERVER.PING.STATSZ", _every_server, rest=_REST_SECONDS)
        except NoRespondersError:
            raise BusRefusedError(
                f"The NATS at {self._place} lets anybody in: it is not in operator mode. {_HINT}"
            ) from None
        for answer in map(_object, answers):
            name, streams = answer["server"]["name"], answer["statsz"].get("jetstream")
            if streams is None:
                raise BusRefusedError(f"The NATS server {name} runs without JetStream. {_HINT}")
            if not streams["config"].get("sync_always"):
                raise BusRefusedError(
                    f"The NATS server {name} acknowledges what is not on disk yet: its JetStream needs"
                    f" `sync_interval: always`. {_HINT}"
                )
        try:
            held = await self._held(self._operator.control_account()[0])
        except NoRespondersError:
            raise BusRefusedError(
                f"The NATS at {self._place} cannot learn accounts: its resolver is not of type full. {_HINT}"
            ) from None
        if held is None:
            raise BusRefusedError(
                f"The NATS at {self._place} lacks this installation's own accounts. {_HINT}"
            )

    async def _ask(self, subject: str, payload: bytes = b"") -> bytes:
        (answer,) = await self._gather(subject, lambda got: True, payload)
        return answer

    async def _gather(
        self,
        subject: str,
        complete: Callable[[list[bytes]], bool],
        payload: bytes = b"",
        *,
        rest: float | None = None,
    ) -> list[bytes]:
        """Ask, and collect answers until they are complete; with `rest`, until no more came for so many
        seconds, too. There may be very many: each has `answer_seconds` to come after the one before.
        Raises NatsError, OSError, TimeoutError."""
        got: list[bytes] = []
        async with asyncio.timeout(self._answer_seconds):
            client = await self._connected()
            # Not the bounds of nats-py: what is over them it drops, and the answer has no end then.
            answers = await client.subscribe(client.new_inbox(), pending_msgs_limit=0, pending_bytes_limit=0)
            await client.publish(subject, payload, reply=answers.subject)
        try:
            while not got or not complete(got):
                patience = self._answer_seconds if rest is None or not got else rest
                try:
                    message = await answers.next_msg(timeout=patience)
                except NatsTimeoutError:
                    if rest is None or not got:
                        raise
                    break
                if message.headers and message.headers.get("Status") == "503":
                    raise NoRespondersError
                got.append(message.data)
        finally:
            if not client.is_closed:
                await answers.unsubscribe()
        return got

    async def _connected(self) -> Client:
        """The connection, as soon as there is one. It is made anew when nats-py gave it up, as it does
        on most errors that a server tells, the end of a user JWT among them."""
        async with self._connecting:
            if self._closed:
                raise _unavailable("The connection to the message bus was closed.")
            while self._client is None or not self._client.is_connected:
                if self._client is None or self._client.is_closed:
                    self._client = await self._connect()
                else:
                    # Not into the buffer of nats-py: what waits there is sent whenever NATS comes back.
                    await asyncio.sleep(_POLL_SECONDS)
            return self._client

    async def _connect(self) -> Client:
        secure = all(server.startswith("tls://") for server in self._servers)
        client = _SecureClient() if secure else Client()
        try:
            await client.connect(
                self._servers,
                name="artcafe-authority",
                user_jwt_cb=self._credentials.jwt,
                signature_cb=self._credentials.sign,
                error_cb=self._heard,
                tls=self._tls,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type]
            )
        except BaseException:
            await _close(client)
            raise
        return client

    async def _heard(self, error: Exception) -> None:
        if not self._opening:
            _log.warning("NATS: %s", error)
        elif isinstance(error, ssl.SSLCertVerificationError):
            self._fault = error.verify_message
        elif isinstance(error, _PlainError):
            self._fault = f"{error}"
        elif "authorization violation" in str(error).lower():
            # Later on this may pass, so nats-py tries for ever; at the start it is a wrong address.
            raise BusRefusedError(f"The NATS at {self._place} does not know this installation. {_HINT}")

    @property
    def _place(self) -> str:
        """The servers, without user names and passwords."""
        return ", ".join(server.rpartition("//")[2].rpartition("@")[2] for server in self._servers)


async def _close(client: Client) -> None:
    # nats-py tries to send what is left, also to a server that has gone.
    with suppress(OSError):
        await client.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        raise _unavailable("The message bus does not answer.") from error


def _every_server(answers: list[bytes]) -> bool:
    return len(answers) >= int(_object(answers[0])["statsz"]["active_servers"])


def _object(answer: bytes) -> dict[str, Any]:
    return msgspec.json.decode(answer, type=dict[str, Any])


def _issued(jwt: str) -> int:
    """When a JWT that NATS holds was issued; 0 for one that nobody signed."""
    try:
        return int(read_token(jwt)["iat"])
    except (KeyError, ValueError):
        return 0


def _unavailable(message: str) -> ArtcafeError:
    return ArtcafeError(Code.unavailable, message)


def _is_url(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
