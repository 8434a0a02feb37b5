"""`artcafe inbox`: prints what waits for an agent."""

import asyncio

import click

from artcafe.cli.agent_login import AgentLoginOptions, logs_in
from artcafe.cli.connection import Target, reaches
from artcafe.cli.sub import line_of
from artcafe.cli.text import json_option
from artcafe.client.client import Client


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--keep", is_flag=True, help="Acknowledge nothing: all of it waits as before.")
@logs_in
@json_option
@reaches
def inbox(connection: Target, login: AgentLoginOptions, *, follow: bool, keep: bool, as_json: bool) -> None:
    """Print the messages that wait in an agent's inbox, and acknowledge each once it is printed.

    Another connection of the agent that has its inbox open loses it to this one.

    \b
    Examples:
      artcafe inbox -t acme -a worker -k worker.key
      artcafe inbox -t acme -a worker -k worker.key --follow --json | jq .data
    """
    asyncio.run(_print_all(login.client(connection), follow=follow, keep=keep, as_json=as_json))


async def _print_all(client: Client, *, follow: bool, keep: bool, as_json: bool) -> None:
    # Where nothing is acknowledged, as much as a client may have at once is all that is seen.
    async with client, client.inbox(max_in_flight=256 if keep else None) as messages:
        if not messages.waiting and not messages.pending and not follow:
            click.echo("Nothing waits.", err=True)
            return
        async for message in messages:
            click.echo(line_of(message, as_json=as_json))
            if not keep:
                await message.ack(confirm=True)
            if not follow and not messages.waiting and not messages.pending:
                return
