"""An event loop in a thread of its own, for callers that block."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_CANCEL_SECONDS = 5.0
"""How long the end of what was cancelled is waited for."""


class LoopThread:
    """Runs coroutines for callers of any thread but its own, until it is closed."""

    def __init__(self, name: str) -> None:
        self._started = threading.Event()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._started.wait()

    @property
    def closed(self) -> bool:
        """Whether it runs nothing any more."""
        return not self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the coroutine, and give what it returns or raise what it raises.

        An exception in the waiting thread, KeyboardInterrupt above all, cancels it, and is raised once it has
        ended. Raises RuntimeError once closed.
        """
        if self.closed:
            work.close()
            raise RuntimeError("The thread is closed.")
        tracked = _Tracked(work)
        try:
            return asyncio.run_coroutine_threadsafe(tracked.run(), self._loop).result()
        except BaseException:
            if not tracked.ended.is_set():
                self._loop.call_soon_threadsafe(tracked.cancel)
                tracked.ended.wait(_CANCEL_SECONDS)
            raise

    def close(self) -> None:
        """End the thread; what still runs is cancelled. Closing twice is fine."""
        if not self.closed:
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._ending.wait()


class _Tracked(Generic[T]):
    """A coroutine that may be cancelled at any moment, and that says when it has ended."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.ended = threading.Event()
        self._work = work
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False

    async def run(self) -> T:
        self._task = asyncio.current_task()
        try:
            if self._cancelled:
                self._work.close()
                raise asyncio.CancelledError
            return await self._work
        finally:
            self.ended.set()

    def cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()
