"""One WebSocket connection. The only module that imports `websockets`; its errors are translated here."""

import ssl
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.protocol import State
from websockets.typing import Subprotocol

from artcafe.client.authorities import system_tls
from artcafe.client.endpoint import WebSocketAddress
from artcafe.client.errors import of_response
from artcafe.client.proxies import proxy_for
from artcafe.wire.codes import NORMAL_CLOSURE, Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import SUBPROTOCOL

_CLOSE_SECONDS = 5.0
_LOST = 1006


class ClosedError(Exception):
    """The connection is closed; `code` and `reason` as RFC 6455 section 7.1 defines them.

    `written` is False when it was closed before anything of the frame at hand was written.
    """

    def __init__(self, code: int, reason: str = "", *, written: bool = True) -> None:
        self.code = code
        self.reason = reason
        self.written = written
        super().__init__(f"{code} {reason}")


class DialError(Exception):
    """No connection was made; `error` says why. `final` means that trying again would be no use.

    `mistaken` means that somebody has to repair something first, and that a client which never got
    through had better say so at once than try again.
    """

    def __init__(self, error: ArtcafeError, *, final: bool = False, mistaken: bool = False) -> None:
        self.error = error
        self.final = final
        self.mistaken = mistaken or final
        super().__init__(str(error))


class Transport:
    """Frames in, frames out. `heard` and `sent` are when a frame last came and went, by `clock`."""

    def __init__(self, socket: ClientConnection, clock: Callable[[], float]) -> None:
        self._socket = socket
        self._clock = clock
        self._verdict: ClosedError | None = None
        self.heard = self.sent = clock()

    async def receive(self) -> bytes:
        """The next frame. Cancelling loses nothing. Raises ClosedError."""
        try:
            frame = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise self._verdict or _closed(closed) from None
        self.heard = self._clock()
        return frame

    async def send(self, frame: bytes) -> None:
        """Write a frame, then wait until there is room for more. Frames go out in the order of the calls.

        Once it waits the frame is on its way: cancelling does not take it back. Raises ClosedError.
        """
        if self._socket.state is not State.OPEN:
            raise ClosedError(_LOST, written=False)
        self.sent = self._clock()
        try:
            await self._socket.send(frame, text=True)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close after what was sent, and wait for the other end for five seconds at most."""
        try:
            await self._socket.close(code, reason)
        finally:
            self._socket.transport.abort()

    def abort(self, verdict: ClosedError) -> None:
        """Drop the connection at once; `receive` raises this verdict."""
        self._verdict = verdict
        self._socket.transport.abort()


async def dial(
    endpoint: WebSocketAddress,
    *,
    tls: ssl.SSLContext | None,
    user_agent: str,
    max_frame_bytes: int,
    seconds: float,
    clock: Callable[[], float],
    subprotocol: str | None = SUBPROTOCOL,
) -> Transport:
    """Open a connection within `seconds`. A proxy of the environment is used, except to this machine.

    The server has to speak the subprotocol, where one is named. Raises DialError.
    """
    try:
        if tls is None and endpoint.secure:
            tls = system_tls()
        proxy = proxy_for(endpoint.url)
    except ArtcafeError as error:
        raise DialError(error, final=True) from error
    try:
        socket = await _Connect(
            endpoint.url,
            subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
            # Deflate costs more time at both ends than it saves on frames this small.
            compression=None,
            user_agent_header=user_agent,
            proxy=proxy,
            open_timeout=seconds,
            # The protocol has its own heartbeat, which also proves that the gateway is alive.
            ping_interval=None,
            close_timeout=_CLOSE_SECONDS,
            max_size=max_frame_bytes,
            ssl=tls,
        )
    except InvalidStatus as refused:
        raise _refused(refused, endpoint) from refused
    except ssl.SSLCertVerificationError as failed:
        raise DialError(
            _unavailable(endpoint, "its certificate is not trusted here"), mistaken=True
        ) from failed
    except TimeoutError as late:
        raise DialError(_unavailable(endpoint, f"no answer within {seconds:g} seconds")) from late
    except OSError as failed:
        raise DialError(_unavailable(endpoint, failed.strerror or "it cannot be reached")) from failed
    except (InvalidMessage, ProxyError) as failed:
        raise DialError(_unavailable(endpoint, "the connection was cut while it opened")) from failed
    except (InvalidHandshake, InvalidURI) as failed:
        raise DialError(_stranger(endpoint), final=True) from failed
    if socket.subprotocol != subprotocol:
        await socket.close(Code.protocol_error.close)
        raise DialError(_stranger(endpoint), final=True)
    return Transport(socket, clock)


class _Connect(connect):
    """Follows no redirect: a challenge must name the server that the developer wrote down."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _refused(refused: InvalidStatus, endpoint: WebSocketAddress) -> DialError:
    response = refused.response
    status = response.status_code
    if 300 <= status < 400:
        message = f"{endpoint.server} sends its callers elsewhere; write down the address it sends them to."
        return DialError(_misled(message), final=True)
    if status < 300:
        return DialError(_stranger(endpoint), final=True)
    error = of_response(status, response.headers, bytes(response.body))
    return DialError(error, final=status < 500 and not error.code.retry)


def _closed(closed: ConnectionClosed) -> ClosedError:
    if closed.rcvd is not None:
        return ClosedError(closed.rcvd.code, closed.rcvd.reason)
    if closed.sent is not None and closed.sent.code != NORMAL_CLOSURE:
        # This end refused what came (too large, not UTF-8), and the other end did not confirm it.
        return ClosedError(closed.sent.code, closed.sent.reason)
    return ClosedError(_LOST)


def _unavailable(endpoint: WebSocketAddress, reason: str) -> ArtcafeError:
    return ArtcafeError(Code.unavailable, f"No connection to {endpoint.server}: {reason}.")


def _stranger(endpoint: WebSocketAddress) -> ArtcafeError:
    return ArtcafeError(
        Code.protocol_error, f"What answers at {endpoint.server} does not speak {SUBPROTOCOL}."
    )


def _misled(message: str) -> ArtcafeError:
    return ArtcafeError(Code.bad_request, message)
