"""Agents of `acme` that send to each other's inboxes, and read their own."""

import asyncio
from typing import Any

from artcafe.server.gateway.fanout.hub import TenantHub
from tests.kit.deadlines import eventually
from tests.kit.durable import House
from tests.kit.sessions import Table

Frame = dict[str, Any]


class Reader:
    """An agent with what came to it."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.got: list[Frame] = []

    def read(self) -> list[Frame]:
        """All that came so far."""
        self.got += self.table.read()
        return self.got

    async def open(self, **more: Any) -> int:
        """Open the inbox; how many wait."""
        self.got += await self.table.say(type="inbox", id="open", **more)
        [opened] = [frame for frame in self.read() if frame["type"] == "inbox_opened"][-1:]
        waiting: int = opened["waiting"]
        return waiting

    @property
    def messages(self) -> list[Frame]:
        """The messages that came."""
        return [frame for frame in self.read() if frame["type"] == "message"]

    @property
    def data(self) -> list[Any]:
        """What they say."""
        return [frame["data"] for frame in self.messages]

    async def receives(self, *data: Any) -> None:
        """Wait until these came, all in all."""
        await eventually(lambda: len(self.data) >= len(data))
        assert self.data == list(data)

    async def settle(self, *data: Any, how: str = "ack", **more: Any) -> None:
        """Settle messages, and wait for the answers."""
        tokens = {frame["data"]: frame["delivery"] for frame in self.messages}
        for each in data:
            frame = {"type": how, "delivery": tokens[each], "id": f"{how} {each}", **more}
            self.got += await self.table.say(**frame)
        await eventually(lambda: {f"{how} {each}" for each in data} <= self.answered)

    @property
    def answered(self) -> set[str]:
        """The ids of frames that were answered with `settled`."""
        return {frame["id"] for frame in self.read() if frame["type"] == "settled"}

    async def leave(self) -> None:
        """The connection ends."""
        await self.table.session.leave()


async def reader(house: House, name: str = "w1", hub: TenantHub | None = None) -> Reader:
    """An agent, on a process of its own unless told."""
    return Reader(await house.agent(name, hub))


async def put(sender: Table, *data: Any, subject: str = "agents.w1.tasks", **more: Any) -> list[Frame]:
    """Store each for an agent; the answers."""
    answers: list[Frame] = []
    for each in data:
        answers += await sender.say(type="publish", subject=subject, data=each, id="p", store=True, **more)
    await asyncio.sleep(0)
    return answers
