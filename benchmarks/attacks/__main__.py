"""The attacker's process: `python -m benchmarks.attacks NAME TARGET SECONDS`, TARGET as JSON.

It prepares, prints `ready`, waits for a line, attacks, and prints the sentence.
"""

import asyncio
import os
import sys

import msgspec

from benchmarks.attacks import ATTACKS
from benchmarks.attacks.target import Target

_LONGER = 30.0
"""Seconds that an attack may go on after its time: the server may be slow to answer the last of it."""

_NICENESS = 10
"""The attacker shares a core with what measures its neighbours, and must not be what delays them."""


async def _run(name: str, target: Target, seconds: float) -> None:
    attack = next(each for each in ATTACKS if each.name == name)
    if attack.prepare is not None:
        await attack.prepare(target)
    print("ready", flush=True)  # noqa: T201 - a process that answers on its standard output
    await asyncio.to_thread(sys.stdin.readline)
    try:
        async with asyncio.timeout(seconds + _LONGER):
            sentence = await attack.strike(target, seconds)
    except TimeoutError:
        sentence = f"not done after {seconds + _LONGER:.0f} s"
    print(sentence, flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    os.nice(_NICENESS)
    asyncio.run(_run(sys.argv[1], msgspec.json.decode(sys.argv[2], type=Target), float(sys.argv[3])))
