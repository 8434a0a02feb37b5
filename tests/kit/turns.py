"""Time that nobody measures: turns of the event loop."""

import asyncio


async def turns(number: int = 20) -> None:
    """Let everything happen that is due: for showing that nothing more comes."""
    for _ in range(number):
        await asyncio.sleep(0)
