"""A task group that outlives the function that enters it."""

import asyncio


async def leave(tasks: asyncio.TaskGroup, error: BaseException | None) -> None:
    """Leave a task group that was entered by hand, when the block around it ended with `error`.

    The group is told of a cancellation only, which may be its own; it would wrap any other error,
    which is not its tasks' fault.
    """
    if isinstance(error, asyncio.CancelledError):
        await tasks.__aexit__(type(error), error, error.__traceback__)
    else:
        await tasks.__aexit__(None, None, None)
