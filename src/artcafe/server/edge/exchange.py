"""One request and its response, delivered completely before the connection closes."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from artcafe.server.edge.heads import Head

LOG = logging.getLogger("artcafe.edge")


class Flow(FlowControl):
    """uvicorn's flow control, in which the protocol decides when reading goes on.

    A request that waits for its body calls `resume_reading`; there may be bytes of it that were read
    already, and reasons of the connection not to read more.
    """

    def __init__(self, transport: asyncio.Transport, more: Callable[[], None]) -> None:
        super().__init__(transport)
        self._more = more

    def resume_reading(self) -> None:
        """Called by a request that can take more of its body."""
        self._more()

    def let_in(self) -> None:
        """Read from the socket."""
        super().resume_reading()

    def end(self) -> None:
        """There is no protocol any more."""
        self._more = _nothing


class Outgoing:
    """The transport as a request sees it: closing it lets the client read the answer first."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class HttpExchange(RequestResponseCycle):
    """A request and its answer.

    A body that the client holds back until it hears 100 Continue, and that nobody asked for, never comes or
    comes unasked: the connection ends with the answer (RFC 9110 section 10.1.1).
    """

    @classmethod
    def of(
        cls,
        scope: HTTPScope,
        outgoing: Outgoing,
        flow: Flow,
        state: ServerState,
        answered: Callable[[], None],
    ) -> "HttpExchange":
        """A request of this scope, nothing of whose body has come."""
        expects = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"]
        )
        return cls(
            scope=scope,
            transport=cast("asyncio.Transport", outgoing),  # It has what this uses of one.
            flow=flow,
            logger=LOG,
            access_logger=LOG,
            access_log=False,
            default_headers=state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects and scope["http_version"] == "1.1",
            keep_alive=True,
            on_response=answered,
        )

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI's send."""
        if self.waiting_for_100_continue and self.more_body and not self.response_started:
            self.keep_alive = False
        await super().send(message)

    async def receive(self) -> ASGIReceiveEvent:
        """ASGI's receive."""
        event = await super().receive()
        if self.more_body:
            self.flow.resume_reading()  # The body that was held is taken: there is room for more.
        return event

    def give_up(self) -> None:
        """Tell the application that nobody waits for its answer."""
        self.disconnected = True
        self.message_event.set()


class Scopes:
    """The ASGI scopes of one connection's requests."""

    __slots__ = ("_config", "_local", "_state", "client")

    def __init__(self, transport: asyncio.Transport, config: Config, state: dict[str, Any]) -> None:
        self.client = get_remote_addr(transport)
        self._local = get_local_addr(transport)
        self._config = config
        self._state = state

    def of(self, head: Head) -> HTTPScope:
        """ASGI 3, HTTP connection scope."""
        path = head.path.decode("ascii")
        root = self._config.root_path
        return {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1" if head.minor else "1.0",
            "server": self._local,
            "client": self.client,
            "scheme": "http",
            "method": head.method.decode("ascii"),
            "root_path": root,
            "path": root + (unquote(path) if "%" in path else path),
            "raw_path": root.encode("ascii") + head.path,
            "query_string": head.query,
            "headers": head.fields,
            "state": self._state.copy(),
        }


def _nothing() -> None:
    """Nobody reads any more."""
