"""WebSockets on the port of the REST API: the HTTP edge hands them over, picows carries them.

    uvicorn.Config(app, ws=websocket_protocol(endpoint, Outboxes()), http=http_protocol(...), loop="uvloop")

The edge recognises a request to upgrade and takes it to the `UpgradeProtocol`, where the endpoint decides.
Then the transport goes to a `WebSocket`, and picows parses and unmasks its frames in C. The versions of both
are pinned: the upgrade leans on how they are built.
"""

import asyncio

from artcafe.server.gateway.websocket.framing import frame
from artcafe.server.gateway.websocket.handshake import Accept, Endpoint, Networks, Refuse, Upgrade
from artcafe.server.gateway.websocket.peer import Handler, Peer, SocketLimits
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.gateway.websocket.upgrade_protocol import ServerState, UpgradeProtocol
from artcafe.server.gateway.websocket.websocket import WebSocket

__all__ = [
    "Accept",
    "Endpoint",
    "Handler",
    "Peer",
    "Refuse",
    "SocketLimits",
    "Upgrade",
    "frame",
    "websocket_protocol",
]


def websocket_protocol(
    endpoint: Endpoint, scheduler: TurnScheduler, limits: SocketLimits | None = None, proxies: Networks = ()
) -> type[asyncio.Protocol]:
    """Make what `uvicorn.Config(ws=...)` takes.

    X-Forwarded-For is believed only when a socket comes from `proxies`. When uvicorn stops, every
    client gets CLOSE 1012, and whoever still waits for the endpoint 503.
    """
    bounds = limits or SocketLimits()

    class Mounted(UpgradeProtocol):
        def __init__(self, config: object, server_state: ServerState, app_state: object) -> None:
            def admit(transport: asyncio.Transport, upgrade: Upgrade, answer: Accept, early: bytes) -> None:
                WebSocket(transport, upgrade, answer.handler, bounds, server_state, scheduler).start(
                    upgrade.headers["sec-websocket-key"], answer.protocol, early
                )

            super().__init__(endpoint, admit, bounds, proxies, server_state)

    return Mounted
