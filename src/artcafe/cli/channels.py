"""`artcafe channels`: named subjects, with a description and access rules."""

from typing import Any

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.lists import order_option, search_option
from artcafe.cli.parameters import JsonText, changes, given, with_options
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_deleted, print_json
from artcafe.client.rest import Json

_COLUMNS = {
    "ID": "id",
    "NAME": "name",
    "SUBJECT": "subject",
    "DESCRIPTION": "description",
    "CREATED": "created_at",
}

_CLEARABLE = ("description", "subject", "max_message_bytes", "publishers", "subscribers", "durability")

_FIELDS = (
    click.option("--description"),
    click.option("--subject", metavar="PATTERN", help="Its subjects. [default: its id]"),
    click.option(
        "--max-message-bytes", type=click.IntRange(min=1), metavar="N", help="The largest message it takes."
    ),
    click.option(
        "--publisher",
        "publishers",
        multiple=True,
        metavar="WHO",
        help="Who may publish: an agent, or role:member and above; may be repeated. [default: everybody]",
    ),
    click.option(
        "--subscriber",
        "subscribers",
        multiple=True,
        metavar="WHO",
        help="Who may subscribe, in the same words.",
    ),
    click.option("--metadata", type=JsonText(mapping=True), help="Any JSON object."),
    click.option("--durable", is_flag=True, help="Store its messages; so does each of the following."),
    click.option("--keep-bytes", type=click.IntRange(min=1), metavar="N", help="Store N bytes at most."),
    click.option(
        "--keep-seconds",
        type=click.IntRange(min=1),
        metavar="N",
        help="Store a message for N seconds at most.",
    ),
    click.option(
        "--keep-messages", type=click.IntRange(min=1), metavar="N", help="Store N messages at most."
    ),
    click.option(
        "--when-full",
        type=click.Choice(["drop_oldest", "refuse"]),
        help="What happens to a message for which there is no room. [default: drop_oldest]",
    ),
)

_KEPT = {
    "keep_bytes": "max_bytes",
    "keep_seconds": "max_age_seconds",
    "keep_messages": "max_messages",
    "when_full": "when_full",
}
"""The options that make up the durability, by its fields."""


def _set(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as the platform takes them: a list that was left out is none."""
    lists = {name: list(fields[name]) or None for name in ("publishers", "subscribers")}
    kept = given({name: fields[option] for option, name in _KEPT.items()})
    durability = kept if kept or fields["durable"] else None
    plain_fields = {name: value for name, value in fields.items() if name not in {*_KEPT, "durable"}}
    return plain_fields | lists | {"durability": durability}


@click.group()
def channels() -> None:
    """Channels: the channel `tasks` is the subject `tasks` of its tenant, unless it has a pattern.

    \b
    Examples:
      artcafe channels create tasks --description "What there is to do"
      artcafe channels list
    """


@channels.command("list")
@search_option
@order_option
@json_option
@signs_in
def list_channels(connection: Target, *, q: str | None, order: str | None, as_json: bool) -> None:
    """List the channels of a tenant.

    \b
    Examples:
      artcafe channels list
      artcafe channels list --search task --order -created_at
      artcafe channels list --json | jq -r '.[].id'
    """
    found = ask(connection, lambda rest: rest.channels(q=q, order=order))
    empty = "No channels; make one with `artcafe channels create NAME`." if q is None else "No such channels."
    print_rows(_COLUMNS, found, as_json=as_json, empty=empty)


@channels.command()
@click.argument("name")
@click.option("--id", "channel_id", help="The id. [default: from the name]")
@with_options(_FIELDS)
@json_option
@signs_in
def create(connection: Target, /, name: str, channel_id: str | None, *, as_json: bool, **fields: Any) -> None:
    """Make a channel.

    \b
    Examples:
      artcafe channels create tasks
      artcafe channels create "Things to do" --id tasks --description "What there is to do"
      artcafe channels create orders --subject 'orders.*' --publisher shop --subscriber role:admin
      artcafe channels create jobs --keep-seconds 86400 --when-full refuse
    """
    wanted = given({"id": channel_id, "name": name} | _set(fields))
    print_record(ask(connection, lambda rest: rest.create_channel(**wanted)), as_json=as_json)


@channels.command()
@click.argument("channel")
@json_option
@signs_in
def show(connection: Target, channel: str, *, as_json: bool) -> None:
    """Show one channel.

    \b
    Examples:
      artcafe channels show tasks
    """
    print_record(ask(connection, lambda rest: rest.channel(channel)), as_json=as_json)


@channels.command()
@click.argument("channel")
@click.option("--name")
@with_options(_FIELDS)
@click.option(
    "--clear", multiple=True, type=click.Choice(_CLEARABLE), help="Have none of it; may be repeated."
)
@json_option
@signs_in
def update(
    connection: Target, /, channel: str, *, clear: tuple[str, ...], as_json: bool, **fields: Any
) -> None:
    """Change what is named and leave the rest; a rule applies to live connections at once.
    How messages are stored is named as a whole: what is left out has its default.

    \b
    Examples:
      artcafe channels update tasks --max-message-bytes 4096
      artcafe channels update tasks --publisher planner --publisher role:admin
      artcafe channels update tasks --clear publishers --clear max_message_bytes
      artcafe channels update tasks --keep-bytes 1000000
      artcafe channels update tasks --clear durability
    """
    wanted = changes(_set(fields), clear)
    print_record(ask(connection, lambda rest: rest.change_channel(channel, **wanted)), as_json=as_json)


@channels.command()
@click.argument("channel")
@yes_option
@json_option
@signs_in
def delete(connection: Target, channel: str, *, yes: bool, as_json: bool) -> None:
    """Delete a channel and what it stored. Who is subscribed to its subject stays subscribed.

    \b
    Examples:
      artcafe channels delete tasks
    """
    confirm(f"Delete the channel {plain(channel)} and its rules, for ever?", yes=yes)
    ask(connection, lambda rest: rest.delete_channel(channel))
    print_deleted({"id": channel}, f"The channel {plain(channel)} is gone.", as_json=as_json)


@channels.command()
@click.argument("channel")
@click.argument("data", type=JsonText(mapping=True), metavar="JSON|-")
@click.option("--subject", help="Which of the channel's subjects, where it has several.")
@click.option("--as-system", is_flag=True, help="As the platform, `sys`; admins and owners may.")
@json_option
@signs_in
def publish(
    connection: Target, channel: str, data: Json, subject: str | None, *, as_system: bool, as_json: bool
) -> None:
    """Send a JSON object into a channel, as yourself.

    \b
    Examples:
      artcafe channels publish tasks '{"do": "book a table"}'
      artcafe channels publish orders '{"n": 1}' --subject orders.new
      date +'{"now": "%c"}' | artcafe channels publish tasks -
    """
    send(connection, channel, data, subject, as_system=as_system, as_json=as_json)


_STORED = {"SEQ": "seq", "TIME": "timestamp", "SUBJECT": "subject", "FROM": "from", "DATA": "data"}


@channels.command()
@click.argument("channel")
@click.option("--since", metavar="PLACE", help="Begin here: 1h, all, last, a time, a sequence.")
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Those behind this sequence.")
@click.option("--before", type=click.IntRange(min=1), metavar="SEQ", help="Those before this sequence.")
@click.option("--subject", metavar="PATTERN", help="Those on these subjects.")
@click.option("--from", "sender", metavar="SENDER", help="Those of this sender.")
@click.option("--limit", "-n", type=click.IntRange(1, 200), default=50, show_default=True, help="How many.")
@json_option
@signs_in
def history(
    connection: Target,
    channel: str,
    since: str | None,
    after: int | None,
    before: int | None,
    subject: str | None,
    sender: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Show what a durable channel stores: the last messages, unless you say where to begin.

    \b
    Examples:
      artcafe channels history tasks
      artcafe channels history tasks --since 1h --from planner
      artcafe channels history tasks --before 400 --json | jq -c '.[].data'
    """
    page = ask(
        connection,
        lambda rest: rest.history(
            channel, after=after, before=before, since=since, subject=subject, sender=sender, limit=limit
        ),
    )
    print_rows(_STORED, page["messages"], as_json=as_json, empty="Nothing is stored there.")


def send(
    connection: Target,
    channel: str,
    data: Json,
    subject: str | None = None,
    *,
    as_system: bool = False,
    as_json: bool,
) -> None:
    """Publish into a channel as the signed-in human, and tell the message's id."""
    sent = ask(connection, lambda rest: rest.publish(channel, data, subject, as_system=as_system))
    if as_json:
        print_json(sent)
    else:
        click.echo(f"Published to {plain(subject or channel)} as {plain(str(sent['message_id']))}.")
