"""The messages of one client on their way into durable channels: bounded, and answered."""

import asyncio
from functools import partial

from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.ports.streams import Receipt
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MAX_STORING = 1024
MAX_STORING_BYTES = 1_048_576
"""What a client may have on its way into durable channels before its next frame waits."""


class Storing:
    """Counts the messages that are being stored for a client, and answers its frames."""

    __slots__ = ("_answers", "_bytes", "_changed", "_count")

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._count = self._bytes = 0
        self._changed: asyncio.Event | None = None  # Made when somebody waits: most clients store nothing.

    @property
    def full(self) -> bool:
        """Whether the next frame has to wait for `room`."""
        return self._count >= MAX_STORING or self._bytes >= MAX_STORING_BYTES

    def answer(self, receipt: Receipt, frame_id: str | None, message_id: str, size: int) -> Work | None:
        """Answer a frame, if it has an id or fails, when its message of so many bytes is stored; what the
        client's next frame waits for is handed back."""
        self.begin(size)
        receipt.add_done_callback(partial(self._stored, frame_id, message_id, size))
        return self.room() if self.full else None

    def _stored(self, frame_id: str | None, message_id: str, size: int, receipt: Receipt) -> None:
        self.end(size)
        error = receipt.exception()
        if error is not None:
            known = error if isinstance(error, ArtcafeError) else ArtcafeError(Code.internal)
            self._answers.refuse(known, frame_id)
        elif frame_id is not None:
            stored = receipt.result()
            self._answers.send(
                frames.Ack(
                    id=frame_id,
                    message_id=message_id,
                    seq=stored.seq,
                    epoch=stored.epoch,
                    duplicate=stored.duplicate,
                )
            )

    def begin(self, size: int) -> None:
        """A message of so many bytes is on its way."""
        self._count += 1
        self._bytes += size

    def end(self, size: int) -> None:
        """It is stored, or will not be."""
        self._count -= 1
        self._bytes -= size
        if self._changed is not None:
            self._changed.set()

    async def room(self) -> None:
        """Return when it is not full."""
        while self.full:
            await self._change()

    async def all(self) -> None:
        """Return when nothing is on its way."""
        while self._count:
            await self._change()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.Event()
        self._changed.clear()
        await self._changed.wait()
