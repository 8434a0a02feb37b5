"""`artcafe request`: makes a request and prints the replies."""

import asyncio
from contextlib import aclosing
from typing import Any

import click

from artcafe.cli.agent_login import AgentLoginOptions, logs_in
from artcafe.cli.connection import Target, reaches
from artcafe.cli.parameters import JsonText
from artcafe.cli.text import compact, json_option, plain, print_json
from artcafe.client.client import Client
from artcafe.client.errors import RemoteError


@click.command()
@click.argument("subject")
@click.argument("data", type=JsonText(), metavar="JSON|-")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.001, max=600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the request is open.",
)
@click.option("--max-replies", type=click.IntRange(1, 1024), help="Ask several: so many, within the timeout.")
@logs_in
@json_option
@reaches
def request(
    connection: Target,
    login: AgentLoginOptions,
    subject: str,
    data: Any,
    timeout: float,
    max_replies: int | None,
    *,
    as_json: bool,
) -> None:
    """Ask an agent something and print what it replies: each part of the reply on a line.

    It fails at once when nobody listens who could answer, and after the timeout when nobody did.

    \b
    Examples:
      artcafe request tasks.new '{"city": "Rome"}' -t acme -a planner -k planner.key
      artcafe request agents.writer.draft '"snow"' --timeout 120 -t acme -a planner -k planner.key
      artcafe request status.ask null --max-replies 10 --timeout 2 -t acme -a planner -k planner.key
    """
    asyncio.run(_show_all(login.client(connection), subject, data, timeout, max_replies, as_json=as_json))


async def _show_all(
    client: Client, subject: str, data: Any, seconds: float, max_replies: int | None, *, as_json: bool
) -> None:
    async with client:
        if max_replies is not None:
            for each in await client.gather(subject, data, max_replies=max_replies, window=seconds):
                _show(each, as_json=as_json)
            return
        async with aclosing(client.stream(subject, data, timeout=seconds)) as parts:
            async for each in parts:
                _show(each, as_json=as_json)


def _show(reply: Any, *, as_json: bool) -> None:
    if isinstance(reply, RemoteError):
        click.echo(f"Refused: {plain(reply.remote_code)}: {plain(reply.message)}", err=True)
    elif as_json:
        print_json(reply, lines=True)
    else:
        click.echo(compact(reply))
