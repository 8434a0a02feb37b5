"""The neighbour's process: an ordinary tenant whose latency is measured while another tenant attacks.

`python -m benchmarks.neighbour TARGET`, TARGET as JSON. Each line of standard input is a number of seconds,
and is answered by one line of JSON: latencies in microseconds of messages from one agent to another, and
of REST requests, or by a `fault`. It sends `MESSAGES` and `REQUESTS` a second
whatever comes back: a message that takes long delays no other one, and is counted with all of its time.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from benchmarks.attacks.target import Target, at_rate, text

MESSAGES = 100.0
REQUESTS = 20.0

LONGEST = 10.0
"""Seconds after which a message is given up, and fails the run."""


class Lost(Exception):
    """A message did not come, or the neighbour's connection was ended."""


class Neighbour:
    """Two agents of one tenant, and its owner."""

    def __init__(self, talker: ClientConnection, listener: ClientConnection, rest: httpx.AsyncClient) -> None:
        self._talker = talker
        self._listener = listener
        self._rest = rest
        self._sent: dict[int, float] = {}
        self._number = 0

    async def measure(self, seconds: float) -> dict[str, list[int]]:
        """Latencies by kind. Raises Lost."""
        messages: list[int] = []
        requests: list[int] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._receive(messages))
                asking = tasks.create_task(self._ask(seconds, requests))
                async for _ in at_rate(seconds, MESSAGES):
                    self._number += 1
                    self._sent[self._number] = time.perf_counter()
                    await self._talker.send(
                        text({"type": "publish", "subject": "beat", "data": self._number}), text=True
                    )
                await asking
                await self._settle()
                reader.cancel()
        except* (ConnectionClosed, httpx.HTTPError) as group:
            raise Lost(f"{group.exceptions[0]!r}") from group
        return {"messages": messages, "requests": requests}

    async def _receive(self, latencies: list[int]) -> None:
        async for frame in self._listener:
            sent = self._sent.pop(json.loads(frame)["data"])
            latencies.append(round((time.perf_counter() - sent) * 1e6))

    async def _ask(self, seconds: float, latencies: list[int]) -> None:
        async for _ in at_rate(seconds, REQUESTS):
            began = time.perf_counter()
            answer = await self._rest.get("/api/v1/agents")
            if answer.status_code != httpx.codes.OK:
                raise Lost(f"{answer.status_code}: {answer.text}")
            latencies.append(round((time.perf_counter() - began) * 1e6))

    async def _settle(self) -> None:
        end = time.monotonic() + LONGEST
        while self._sent:
            if time.monotonic() > end:
                raise Lost(f"{len(self._sent)} messages did not come in {LONGEST:.0f} s")
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _moved_in(target: Target) -> AsyncIterator[Neighbour]:
    headers = {"authorization": f"Bearer {target.token}", "x-tenant-id": target.tenant}
    async with (
        target.agents(2) as (talker, listener),
        httpx.AsyncClient(base_url=target.url, headers=headers, timeout=LONGEST, trust_env=False) as rest,
    ):
        await listener.send(text({"type": "subscribe", "subject": "beat", "id": "1"}), text=True)
        await listener.recv()
        yield Neighbour(talker, listener, rest)


async def _serve(target: Target) -> None:
    async with _moved_in(target) as neighbour:
        _tell({})
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                _tell(await neighbour.measure(float(line)))
            except Lost as lost:
                _tell({"fault": f"the neighbour was harmed: {lost}"})
                return


def _tell(words: Mapping[str, list[int] | str]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(msgspec.json.decode(sys.argv[1], type=Target)))
