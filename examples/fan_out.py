"""Work for several workers, one of which dies: what it held is given to another one.

`fan_out.py worker` is one of them; `fan_out.py planner` hands out ten tasks and waits until they are done.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from artcafe import Agent, Client

URL = "ws://127.0.0.1:8000"


@dataclass
class Task:
    number: int


@dataclass
class Done:
    number: int
    square: int
    worker: int


worker = Agent(URL, tenant="acme", agent="helper", key="helper_key")


@worker.on("tasks.new", durable="workers", since="all", concurrency=2)
async def work(task: Task) -> None:
    # Acknowledged when this returns. When the process dies before, another worker gets the task at once.
    if task.number == 5:
        die_once(task)
    await worker.client.publish("results.new", Done(task.number, task.number**2, os.getpid()))


def die_once(task: Task) -> None:
    if Path("die").exists():
        Path("die").unlink()
        print(f"worker {os.getpid()} dies with task {task.number}", flush=True)
        os._exit(1)


async def plan() -> None:
    done: dict[int, Done] = {}
    async with (
        Client(URL, tenant="acme", agent="planner", key="planner_key") as client,
        client.subscribe("results.new") as results,
    ):
        for number in range(10):
            await client.publish("tasks.new", Task(number))
        async for message in results:
            result = message.decode(Done)
            done[result.number] = result  # At least once: a task that was done twice counts once.
            if len(done) == 10:
                break
    print("squares:", [done[number].square for number in range(10)])


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        worker.run()
    else:
        asyncio.run(plan())
