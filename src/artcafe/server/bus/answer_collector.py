"""Collects the answers of the other processes to one question."""

import asyncio
import logging

ANSWER_SECONDS = 1.0

_log = logging.getLogger(__name__)


class AnswerCollector:
    """Collects `answers` answers. Made in the event loop."""

    def __init__(self, topic: str, answers: int) -> None:
        self._topic = topic
        self._answers = answers
        self._got: list[bytes] = []
        self._whole = asyncio.Event()
        if answers <= 0:
            self._whole.set()

    def take(self, answer: bytes) -> None:
        """Add an answer; those beyond the number expected are dropped."""
        if not self._whole.is_set():
            self._got.append(answer)
            if len(self._got) >= self._answers:
                self._whole.set()

    async def answered(self, seconds: float) -> list[bytes]:
        """Returns the answers as soon as there are enough; after `seconds` those that came, and logs a
        warning."""
        try:
            async with asyncio.timeout(seconds):
                await self._whole.wait()
        except TimeoutError:
            text = "of %d processes asked about %s, %d answered within %s s"
            _log.warning(text, self._answers, self._topic, len(self._got), seconds)
        return self._got
