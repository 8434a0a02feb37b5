"""An agent that asks a human first.

The human answers with the command line (README.md), or over REST; the server proves who it was.
"""

import asyncio

from artcafe import Client

URL = "ws://127.0.0.1:8000"


async def main() -> None:
    async with (
        Client(URL, tenant="acme", agent="planner", key="planner_key") as client,
        client.subscribe("approvals.answers") as answers,
    ):
        await client.publish(
            "approvals.questions", {"id": "trip-1", "question": "Book the flight for 200 €?"}
        )
        print("asked, and waiting", flush=True)
        async for answer in answers:
            if answer.sender.startswith("u-") and answer.data["id"] == "trip-1":
                print("approved" if answer.data["approved"] else "refused", "by a human")
                return


asyncio.run(main())
