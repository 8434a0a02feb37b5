"""The connection to the system account of NATS: requests, and the check that this NATS is the right one."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from artcafe.server.bus.accounts.operator import Operator
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


class SystemLink:
    """Sends requests as the system account, over one connection that reconnects for ever."""

    def __init__(
        self,
        url: str,
        operator: Operator,
        *,
        open_seconds: float,
        answer_seconds: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        """As for Authority."""
        self._servers = [part.strip() for part in url.split(",")]
        self._operator = operator
        self._open_seconds = open_seconds
        self._answer_seconds = answer_seconds
        self._credentials = operator.system_credentials()
        self._tls = tls
        self._connecting = asyncio.Lock()
        self._client: Client | None = None
        self._opening = True
        self._fault = ""
        self._closed = False

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

    def _check_urls(self) -> None:
        if not all(map(_is_url, self._servers)):
            raise BusRefusedError("The address of NATS is a URL: nats://host:4222, or tls://host:4222.")
        if len({urlsplit(server).scheme for server in self._servers}) > 1:
            raise BusRefusedError("The servers of one NATS are all addressed as nats://, or all as tls://.")

    async def _prove(self) -> None:
        """Raises BusRefusedError unless every server is configured as `Operator.server_config` writes."""
        try:
            answers = await self.gather("$SYS.REQ.SERVER.PING.STATSZ", _every_server, rest=_REST_SECONDS)
        except NoRespondersError:
            raise BusRefusedError(
                f"The NATS at {self._place} lets anybody in: it is not in operator mode. {_HINT}"
            ) from None
        for answer in map(object_of, answers):
            name, streams = answer["server"]["name"], answer["statsz"].get("jetstream")
            if streams is None:
                raise BusRefusedError(f"The NATS server {name} runs without JetStream. {_HINT}")
            if not streams["config"].get("sync_always"):
                raise BusRefusedError(
                    f"The NATS server {name} acknowledges what is not on disk yet: its JetStream needs"
                    f" `sync_interval: always`. {_HINT}"
                )
        try:
            held = await self.held(self._operator.control_account()[0])
        except NoRespondersError:
            raise BusRefusedError(
                f"The NATS at {self._place} cannot learn accounts: its resolver is not of type full. {_HINT}"
            ) from None
        if held is None:
            raise BusRefusedError(
                f"The NATS at {self._place} lacks this installation's own accounts. {_HINT}"
            )

    async def held(self, account: str) -> str | None:
        """The account's JWT as NATS holds it. Raises as `ask`."""
        return (await self.ask(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP")).decode() or None

    async def ask(self, subject: str, payload: bytes = b"") -> bytes:
        """The one answer to a question. Raises NatsError, OSError, TimeoutError."""
        (answer,) = await self.gather(subject, lambda got: True, payload)
        return answer

    async def gather(
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
                raise unavailable("The connection to the message bus was closed.")
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
                inbox_prefix=self._credentials.inbox,
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
def translated() -> Iterator[None]:
    """Turn what NATS or the network raises into unavailable."""
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        raise unavailable("The message bus does not answer.") from error


def _every_server(answers: list[bytes]) -> bool:
    return len(answers) >= int(object_of(answers[0])["statsz"]["active_servers"])


def object_of(answer: bytes) -> dict[str, Any]:
    """The object that an answer is, JSON."""
    return msgspec.json.decode(answer, type=dict[str, Any])


def unavailable(message: str) -> ArtcafeError:
    """The error of a bus that does not do what was asked."""
    return ArtcafeError(Code.unavailable, message)


def _is_url(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
