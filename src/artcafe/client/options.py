"""The options of a client, for those that make one."""

import ssl
from collections.abc import Callable
from typing import TypedDict

from artcafe.client.backoff import Backoff
from artcafe.client.link import State
from artcafe.wire.errors import ArtcafeError


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of `Client` that have a default; it says what each is."""

    timeout: float
    connect_timeout: float
    buffer: int
    on_state: Callable[[State], None] | None
    on_error: Callable[[ArtcafeError], None] | None
    tls: ssl.SSLContext | None
    max_frame_bytes: int
    backoff: Backoff | None
    clock: Callable[[], float]
