"""A reader that comes late and misses nothing: the channel keeps its messages."""

import asyncio

from artcafe import Client

URL = "ws://127.0.0.1:8000"


async def main() -> None:
    async with Client(URL, tenant="acme", agent="planner", key="planner_key") as writer:
        for city in ("Rome", "Oslo"):
            await writer.publish("news.weather", {"city": city})  # On disk when this returns.
        async with (
            Client(URL, tenant="acme", agent="helper", key="helper_key") as late,
            late.subscribe("news.>", since="10m") as news,
        ):
            await writer.publish("news.weather", {"city": "Lima"})
            async for message in news:  # What is stored first, then what is new, without a gap.
                print(message.seq, message.data["city"])
                if message.data["city"] == "Lima":
                    return


asyncio.run(main())
