"""A process of its own on a SQLite store, for tests that share a file or kill its writer.

python -m tests.kit.store_process claim PATH NAME COUNT    claims numbers, prints those it won
python -m tests.kit.store_process write PATH               writes pairs for ever, prints each that is done

`claim` goes upwards, or downwards when its NAME is "down". It claims the number at its own end, says
"ready" and goes on when it is sent a line: so two of them are sure to be in the middle of it together.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

from artcafe.server.store.item import ABSENT, Conflict, Delta, Put
from artcafe.server.store.sqlite import SqliteStore

TASKS = 8


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    """The store in `path`, with the real clock."""
    store = SqliteStore(path, clock=time.time, new_rev=lambda: uuid4().hex)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def claim(path: Path, name: str, numbers: int) -> None:
    """Try to claim every number, several at a time, and count each attempt."""
    todo = iter(range(numbers) if name != "down" else reversed(range(numbers)))
    won: list[int] = []

    async def attempt(store: SqliteStore, n: int) -> None:
        await store.incr([Delta("c", "attempts", 1), Delta("c", name, 1)])
        pair = [Put("p", f"{kind}#{n:05}", {"by": name}, ABSENT) for kind in ("CLAIM", "PAIR")]
        with suppress(Conflict):
            await store.transact(pair)
            won.append(n)

    async def work(store: SqliteStore) -> None:
        for n in todo:
            await attempt(store, n)

    async with opened(path) as store:
        await attempt(store, next(todo))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(work(store))
    sys.stdout.write("".join(f"{n}\n" for n in sorted(won)))


async def write(path: Path) -> None:
    """Write pairs that nobody wrote before until the process is killed."""
    numbers = count()
    run = uuid4().hex

    async def work(store: SqliteStore) -> None:
        while True:
            sk = f"{run}-{next(numbers)}"
            await store.transact([Put("a", sk, {"pad": "x" * 300}, ABSENT), Put("b", sk, {}, ABSENT)])
            await store.incr([Delta("c", run, 1)])
            os.write(1, f"{sk}\n".encode())

    async with opened(path) as store, asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(work(store))


def main(command: str, path: str, *rest: str) -> None:
    """Run one command."""
    if command == "claim":
        asyncio.run(claim(Path(path), rest[0], int(rest[1])))
    else:
        asyncio.run(write(Path(path)))


if __name__ == "__main__":
    main(*sys.argv[1:])
