"""The interfaces of a WebSocket's two ends: the client's peer, and the gateway's handler."""

from dataclasses import dataclass
from typing import Protocol

from artcafe.wire.errors import ArtcafeError


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What one client may take.

    A message over `message_bytes` or `fragments` closes with 1009; until it is `Peer.admitted`, one over
    `login_bytes`. Control frames, and fragments beyond the usual, close with 4005 above
    `control_frames_per_second`, of which ten seconds' worth may come at once. `queued_bytes` is where
    `Handler.slow` comes. `kernel_bytes` is what the kernel is asked to buffer (SO_SNDBUF; Linux
    doubles it): unasked it takes up to 4 MB a client before anything counts as queued.
    `handshake_seconds` is the endpoint's time, `close_seconds` the client's to take the CLOSE.
    """

    message_bytes: int = 1_048_576 + 4_096
    fragments: int = 64
    login_bytes: int = 32_768
    control_frames_per_second: float = 10.0
    queued_bytes: int = 1_048_576
    kernel_bytes: int = 131_072
    handshake_seconds: float = 10.0
    close_seconds: float = 2.0


class Peer(Protocol):
    """The client at the other end. Everything here is for the event loop's thread, and never blocks.

    What is sent arrives in order, or the connection ends; all of one turn of the event loop leaves
    together. Once `closed`, whatever is sent is dropped.
    """

    @property
    def remote(self) -> str:
        """The client's IP address, as `Upgrade.remote`."""
        ...

    @property
    def closed(self) -> bool:
        """True from the first CLOSE frame, sent or received, or the end of the socket, on."""
        ...

    def send(self, text: bytes) -> None:
        """Send one text message; the bytes are UTF-8."""
        ...

    def write(self, framed: bytes) -> None:
        """Send what already is frames (`framing.frame`), one or several joined."""
        ...

    def admitted(self) -> None:
        """The client is logged in: from now on `SocketLimits.message_bytes` hold for it, and not
        `login_bytes`."""
        ...

    def ping(self) -> None:
        """Send a PING without payload. A live client answers, and the answer is `heard`."""
        ...

    def heard(self) -> bool:
        """Tell whether anything, were it half a frame, came since this was last asked."""
        ...

    def pause(self) -> None:
        """Stop reading: the client waits, its PONGs too. What was read already still comes.

        A client that leaves is noticed after `resume`.
        """
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def queued(self) -> int:
        """Bytes that the kernel has not taken yet."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """End the connection with this close code and as much of the reason as fits.

        The first close wins. The client gets what was sent before, and `SocketLimits.close_seconds` to
        take it; nothing it still sends is heard. ValueError for a code that must not travel.
        """
        ...


class Handler(Protocol):
    """What the gateway does with one connection. Called from the event loop, never from inside a Peer method.

    An ArtcafeError that is let out ends the connection with its close code and message. Any other
    exception is a fault of the server: it is logged, and the connection ends with 1011.
    """

    def opened(self, peer: Peer) -> None:
        """The upgrade is done. Comes first; a client that left before never comes here."""
        ...

    def text(self, message: bytes) -> None:
        """A whole text message, checked to be UTF-8 and within the limits."""
        ...

    def binary(self, message: bytes) -> None:
        """A whole binary message within the limits."""
        ...

    def broke(self, error: ArtcafeError) -> None:
        """The client broke a rule or passed a limit of the socket: it is closed with this error."""
        ...

    def slow(self) -> None:
        """More than `SocketLimits.queued_bytes` wait for this client.

        Comes again only after it took three quarters of them. Whoever does not close here lets the
        queue grow.
        """
        ...

    def ending(self) -> None:
        """A CLOSE was sent or received: what is sent is dropped from now on. Comes once before `closed`,
        unless the connection just broke; as the only one, also from inside `Peer.close`."""
        ...

    def closed(self, code: int) -> None:
        """The socket is gone. Comes last, and exactly once if `opened` came.

        `code` is what the CLOSE frame said that ended it, whoever sent it first; 1005 for a CLOSE
        without a code, 1006 when the connection just broke.
        """
        ...
