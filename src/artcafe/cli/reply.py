"""`artcafe reply`: answers requests by a command."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any

import click

from artcafe.cli.agent_login import AgentLoginOptions, logs_in
from artcafe.cli.connection import Target, reaches
from artcafe.cli.sub import next_message
from artcafe.cli.text import plain
from artcafe.client.client import Client
from artcafe.client.message import Message
from artcafe.wire.errors import ArtcafeError

_MOST_WORDS = 1000
"""Characters of a failed command's last line that its requester is told."""


@click.command()
@click.argument("pattern")
@click.option("--command", "-c", required=True, metavar="COMMAND", help="What the shell runs for each.")
@click.option("--count", "-n", type=click.IntRange(min=1), help="End after this many requests.")
@click.option("--queue", "-q", metavar="NAME", help="Share the requests with the others of this group.")
@logs_in
@reaches
def reply(
    connection: Target,
    login: AgentLoginOptions,
    pattern: str,
    command: str,
    count: int | None,
    queue: str | None,
) -> None:
    """Answer requests by a command, one after the other, until Ctrl-C.

    The command reads the request's data, JSON, on standard input; ARTCAFE_SUBJECT and ARTCAFE_FROM say
    where it came and from whom. What it prints is the reply: JSON as it is, anything else as a text. When it
    fails, the request is refused with `exit_` and its exit code, and with its last line on standard error.
    A request that is cancelled ends its command.

    \b
    Examples:
      artcafe reply tasks.new --command 'jq .city' -t acme -a worker -k worker.key
      artcafe reply 'agents.clock.*' --command 'date' -t acme -a clock -k clock.key
    """
    asyncio.run(_answer_all(login.client(connection), pattern, command, count, queue))


async def _answer_all(
    client: Client, pattern: str, command: str, count: int | None, queue: str | None
) -> None:
    async with client, client.subscribe(pattern, queue=queue) as messages:
        click.echo(f"Answering {plain(pattern)}; Ctrl-C ends.", err=True)
        answered = 0
        while count is None or answered < count:
            message = await next_message(messages)
            if message is None:
                return
            if message.reply_to is None or message.cancelled:
                continue
            try:
                await _answer(message, command)
            except ArtcafeError as error:
                click.echo(f"Not answered: {plain(error.message)}", err=True)
            answered += 1


async def _answer(message: Message, command: str) -> None:
    """Run the command for a request, and reply. Raises as Message.respond."""
    environment = {"ARTCAFE_SUBJECT": message.subject, "ARTCAFE_FROM": message.sender}
    inherited = os.environ  # noqa: TID251 - the command is to run as in the shell of who gave it.
    process = await asyncio.create_subprocess_shell(
        command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=inherited | environment
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_end_with(message, process))
            printed, complaint = await process.communicate(message.raw)
            watching.cancel()
    finally:
        _kill(process)
    code = process.returncode
    if message.cancelled:
        click.echo("A request was cancelled.", err=True)
    elif code == 0 or not message.is_request:
        await message.respond(_value(printed))
    else:
        lines = complaint.decode(errors="replace").strip().splitlines()
        await message.refuse(f"exit_{code}", lines[-1][:_MOST_WORDS] if lines else "")


async def _end_with(message: Message, process: Process) -> None:
    await message.cancellation()
    _kill(process)


def _kill(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


def _value(printed: bytes) -> Any:
    """What a command printed, as data."""
    text = printed.decode(errors="replace").strip()
    try:
        return json.loads(text)
    except ValueError:
        return text
