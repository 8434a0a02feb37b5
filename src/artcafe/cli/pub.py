"""`artcafe pub`: publishes one message."""

import asyncio
from typing import Any

import click

from artcafe.cli.agent_login import AgentLoginOptions, logs_in
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.lazy import load
from artcafe.cli.parameters import JsonText
from artcafe.cli.text import json_option, plain, print_json
from artcafe.client.client import Client


@click.command()
@click.argument("subject")
@click.argument("data", type=JsonText(), metavar="JSON|-")
@logs_in
@json_option
@signs_in
def pub(connection: Target, login: AgentLoginOptions, subject: str, data: Any, *, as_json: bool) -> None:
    """Publish a message: as an agent with --agent and its key, else as yourself.

    As yourself you publish a JSON object into a channel: SUBJECT is its id. It is done when the
    platform has the message; exit code 0 says so.

    \b
    Examples:
      artcafe pub tasks.new '{"city": "Rome"}' -t acme -a planner -k planner.key
      artcafe pub tasks.new '{"city": "Rome"}' -t acme -a planner --ssh-agent
      artcafe pub tasks '{"city": "Rome"}' -t acme
      cat report.json | artcafe pub reports - -t acme
    """
    if login.agent is None:
        if login.key is not None or login.socket is not None:
            raise click.UsageError("a key is an agent's: give --agent")
        if not isinstance(data, dict):
            raise click.UsageError("as yourself you publish a JSON object, as in '{\"n\": 1}'")
        # Imported only here: REST costs a third of a second that an agent does not need.
        load("artcafe.cli.channels:send")(connection, subject, data, as_json=as_json)
        return
    message_id = asyncio.run(_publish(login.client(connection), subject, data))
    if as_json:
        print_json({"message_id": message_id, "subject": subject})
    else:
        click.echo(f"Published to {plain(subject)} as {plain(message_id)}.")


async def _publish(client: Client, subject: str, data: Any) -> str:
    async with client:
        return await client.publish(subject, data)
