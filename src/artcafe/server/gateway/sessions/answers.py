"""The answers to a client's frames, written as its dialect writes them."""

import math

import msgspec

from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.fanout.acknowledgements import Acknowledgements
from artcafe.server.gateway.sessions.client import Client, Work
from artcafe.wire import frames
from artcafe.wire.errors import ArtcafeError


class Answers:
    """Answers the frames of one client."""

    __slots__ = ("_client", "_dialect")

    def __init__(self, client: Client, dialect: Dialect) -> None:
        self._client = client
        self._dialect = dialect

    def send(self, frame: msgspec.Struct) -> None:
        """Answer with this frame; where the client's dialect has no such answer, not at all."""
        answer = self._dialect.answer(frame)
        if answer is not None:
            self._client.send(answer)

    def refuse(self, error: ArtcafeError, frame_id: str | None) -> None:
        """Answer a frame with an error; the connection stays."""
        retry_after_ms = None if error.retry_after is None else math.ceil(error.retry_after * 1000)
        self.send(
            frames.Error(
                code=error.code.name,
                message=error.message,
                id=frame_id,
                retry_after_ms=retry_after_ms,
                details=error.details,
            )
        )

    def confirm(self, answer: msgspec.Struct, frame_id: str, sent: Acknowledgements) -> Work | None:
        """Answer a frame once the bus has what was sent for it, or with the error; what waits for that is
        handed back, where nobody does yet."""

        def tell(failure: ArtcafeError | None) -> None:
            if failure is None:
                self.send(answer)
            else:
                self.refuse(failure, frame_id)

        return sent.later(tell)
