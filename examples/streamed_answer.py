"""An answer that comes in parts, as a language model writes it."""

import asyncio
from collections.abc import AsyncIterator

from artcafe import Agent, Client

URL = "ws://127.0.0.1:8000"

writer = Agent(URL, tenant="acme", agent="helper", key="helper_key")


@writer.on("agents.helper.draft")
async def draft(topic: str) -> AsyncIterator[str]:
    for word in f"It has been a long winter of {topic} .".split():
        yield word
        await asyncio.sleep(0.05)  # A model thinks.


async def main() -> None:
    async with (
        writer,  # In a program of its own this is `writer.run()`.
        Client(URL, tenant="acme", agent="planner", key="planner_key") as client,
    ):
        async for part in client.stream("agents.helper.draft", "snow", timeout=30):
            print(part, end=" ", flush=True)
    print()


asyncio.run(main())
