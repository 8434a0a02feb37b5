"""`artcafe pub`: publishes one message, or each line of standard input."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any, Unpack

import click
from msgspec import UNSET

from artcafe.cli.agent_login import AgentLoginOptions, logs_in
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.lazy import load
from artcafe.cli.parameters import JsonText
from artcafe.cli.text import json_option, plain, print_json
from artcafe.client.client import Client
from artcafe.client.publication import InboxOptions


class DataOrInput(JsonText):
    """A JSON value; UNSET for `-`: the command says how standard input is read."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse it. Raises BadParameter."""
        return UNSET if value == "-" else super().convert(value, param, ctx)


@click.command()
@click.argument("subject")
@click.argument("data", type=DataOrInput(), metavar="JSON|-")
@click.option("--lines", is_flag=True, help="Publish each line of standard input, a JSON value.")
@click.option("--text", is_flag=True, help="Publish each line of standard input as a text.")
@click.option("--store", is_flag=True, help="Let it wait in the inbox of the agent whose subject it is.")
@click.option("--priority", type=click.IntRange(0, 2), help="Of what is stored: 0 is urgent, 2 is low.")
@click.option("--expires-in", type=click.FloatRange(min=0, min_open=True), help="Seconds that it waits.")
@click.option("--receipt", is_flag=True, help="Have a message sent to you when it is settled.")
@logs_in
@json_option
@signs_in
def pub(
    connection: Target,
    login: AgentLoginOptions,
    subject: str,
    data: Any,
    *,
    lines: bool,
    text: bool,
    as_json: bool,
    **how: Unpack[InboxOptions],
) -> None:
    """Publish a message: as an agent with --agent and its key, else as yourself.

    As yourself you publish a JSON object into a channel: SUBJECT is its id. It is done when the
    platform has the message; exit code 0 says so. With --lines or --text each line is published as it
    comes, in order; one that is no JSON ends the command.

    \b
    Examples:
      artcafe pub tasks.new '{"city": "Rome"}' -t acme -a planner -k planner.key
      artcafe pub tasks.new '{"city": "Rome"}' -t acme -a planner --ssh-agent
      artcafe pub tasks '{"city": "Rome"}' -t acme
      artcafe pub agents.w1.tasks '{"n": 1}' -t acme -a planner -k planner.key --store
      cat report.json | artcafe pub reports - -t acme
      tail -f app.log | artcafe pub logs.app - --text -t acme -a planner -k planner.key
    """
    if login.agent is None and (login.key is not None or login.socket is not None):
        raise click.UsageError("a key is an agent's: give --agent")
    if lines or text:
        if data is not UNSET or (lines and text) or login.agent is None:
            raise click.UsageError("--lines or --text reads standard input, `-`, as an agent: give --agent")
        values = _lines(as_text=text)
    else:
        values = iter([JsonText().convert("-", None, None) if data is UNSET else data])
    if login.agent is None:
        if any(how.values()):
            raise click.UsageError("what is stored is sent by an agent: give --agent")
        _publish_as_human(connection, subject, next(values), as_json=as_json)
    else:
        asyncio.run(_publish(login.client(connection), subject, values, how, as_json=as_json))


def _publish_as_human(connection: Target, subject: str, data: Any, *, as_json: bool) -> None:
    if not isinstance(data, dict):
        raise click.UsageError("as yourself you publish a JSON object, as in '{\"n\": 1}'")
    # Imported only here: REST costs a third of a second that an agent does not need.
    load("artcafe.cli.channels:send")(connection, subject, data, as_json=as_json)


def _lines(*, as_text: bool) -> Iterator[Any]:
    """The values of the lines of standard input. Raises BadParameter for one that is no JSON."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        written = line.decode(errors="replace").rstrip("\r\n")
        if as_text:
            yield written
        elif written.strip():
            try:
                yield JsonText().convert(written, None, None)
            except click.BadParameter as error:
                raise click.BadParameter(f"line {number}: {error.message}") from error


async def _publish(
    client: Client, subject: str, values: Iterator[Any], how: InboxOptions, *, as_json: bool
) -> None:
    async with client:
        # A line is waited for in a thread, so that the connection is kept meanwhile.
        while (value := await asyncio.to_thread(next, values, UNSET)) is not UNSET:
            message_id = await client.publish(subject, value, **how)
            if as_json:
                print_json({"message_id": message_id, "subject": subject}, lines=True)
            else:
                click.echo(f"Published to {plain(subject)} as {plain(message_id)}.")
