"""`artcafe channels`: named subjects that humans see and publish into."""

import click

from artcafe.cli.connection import Connection, signs_in
from artcafe.cli.parameters import JsonText, given
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_json
from artcafe.client.rest import Json

_COLUMNS = {"ID": "id", "NAME": "name", "DESCRIPTION": "description", "CREATED": "created_at"}


@click.group()
def channels() -> None:
    """Channels: the channel `tasks` is the subject `tasks` of its tenant.

    \b
    Examples:
      artcafe channels create tasks --description "What there is to do"
      artcafe channels list
    """


@channels.command("list")
@json_option
@signs_in
def list_channels(connection: Connection, *, as_json: bool) -> None:
    """List the channels of a tenant.

    \b
    Examples:
      artcafe channels list
      artcafe channels list --json | jq -r '.[].id'
    """
    found = ask(connection, lambda rest: rest.channels())
    print_rows(
        _COLUMNS, found, as_json=as_json, empty="No channels; make one with `artcafe channels create NAME`."
    )


@channels.command()
@click.argument("name")
@click.option("--id", "channel_id", help="The id, which is the subject. [default: from the name]")
@click.option("--description")
@click.option("--metadata", type=JsonText(mapping=True), help="Any JSON object.")
@json_option
@signs_in
def create(
    connection: Connection,
    name: str,
    channel_id: str | None,
    description: str | None,
    metadata: Json | None,
    *,
    as_json: bool,
) -> None:
    """Make a channel.

    \b
    Examples:
      artcafe channels create tasks
      artcafe channels create "Things to do" --id tasks --description "What there is to do"
    """
    wanted = given({"id": channel_id, "name": name, "description": description, "metadata": metadata})
    print_record(ask(connection, lambda rest: rest.create_channel(**wanted)), as_json=as_json)


@channels.command()
@click.argument("channel")
@json_option
@signs_in
def show(connection: Connection, channel: str, *, as_json: bool) -> None:
    """Show one channel.

    \b
    Examples:
      artcafe channels show tasks
    """
    print_record(ask(connection, lambda rest: rest.channel(channel)), as_json=as_json)


@channels.command()
@click.argument("channel")
@json_option
@signs_in
def delete(connection: Connection, channel: str, *, as_json: bool) -> None:
    """Delete a channel. Who is subscribed to its subject stays subscribed.

    \b
    Examples:
      artcafe channels delete tasks
    """
    ask(connection, lambda rest: rest.delete_channel(channel))
    if as_json:
        print_json({"id": channel, "deleted": True})
    else:
        click.echo(f"The channel {plain(channel)} is gone.")


@channels.command()
@click.argument("channel")
@click.argument("data", type=JsonText(mapping=True), metavar="JSON|-")
@json_option
@signs_in
def publish(connection: Connection, channel: str, data: Json, *, as_json: bool) -> None:
    """Send a JSON object into a channel, as yourself.

    \b
    Examples:
      artcafe channels publish tasks '{"do": "book a table"}'
      date +'{"now": "%c"}' | artcafe channels publish tasks -
    """
    send(connection, channel, data, as_json=as_json)


def send(connection: Connection, channel: str, data: Json, *, as_json: bool) -> None:
    """Publish into a channel as the signed-in human, and tell the message's id."""
    sent = ask(connection, lambda rest: rest.publish(channel, data))
    if as_json:
        print_json(sent)
    else:
        click.echo(f"Published to {plain(channel)} as {plain(str(sent['message_id']))}.")
