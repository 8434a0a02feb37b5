"""A loop in a thread, for callers that block."""

import asyncio
import signal
import threading

import pytest

from artcafe.client.loop_thread import LoopThread


async def _raise() -> None:
    raise ValueError("told")


async def _where() -> str:
    return threading.current_thread().name


def test_what_a_coroutine_gives_or_raises_comes_out() -> None:
    thread = LoopThread("apart")
    assert thread.run(_where()) == "apart"
    with pytest.raises(ValueError, match="told"):
        thread.run(_raise())
    thread.close()
    thread.close()
    assert thread.closed
    with pytest.raises(RuntimeError, match="closed"):
        thread.run(_where())
    assert "apart" not in {each.name for each in threading.enumerate()}


async def test_a_caller_may_have_a_loop_that_runs() -> None:
    thread = LoopThread("apart")
    assert thread.run(_where()) == "apart"
    thread.close()


def test_an_interrupt_cancels_what_is_waited_for() -> None:
    thread, ended = LoopThread("apart"), threading.Event()
    main = threading.get_ident()

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(signal.pthread_kill, main, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        thread.run(wait())
    assert ended.is_set()
    assert thread.run(_where()) == "apart", "it goes on"
    thread.close()


def test_closing_cancels_what_still_runs() -> None:
    thread, ended = LoopThread("apart"), threading.Event()

    async def begin() -> asyncio.Task[None]:
        begun = asyncio.Event()

        async def wait() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        task = asyncio.create_task(wait())
        await begun.wait()
        return task

    task = thread.run(begin())
    thread.close()
    assert ended.is_set()
    assert task.cancelled()
