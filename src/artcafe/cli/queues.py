"""`artcafe queue`: the durable subscriptions of a channel, which share its work, and its dead letters."""

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.session import ask
from artcafe.cli.table import print_rows
from artcafe.cli.text import json_option, plain, print_deleted, print_json

_COLUMNS = {
    "NAME": "name",
    "SUBJECT": "subject",
    "WAITING": "pending",
    "IN FLIGHT": "in_flight",
    "REDELIVERED": "redelivered",
    "LEASE (MS)": "lease_ms",
    "CREATED": "created_at",
}

_DEAD = {
    "SEQ": "seq",
    "QUEUE": "subscription",
    "REASON": "reason",
    "DELIVERIES": "deliveries",
    "SUBJECT": "subject",
    "FROM": "from",
    "DATA": "data",
}

_of = click.option("--queue", "-q", metavar="NAME", help="Those of this durable subscription alone.")


@click.group("queue")
def queue() -> None:
    """Queues: durable subscriptions, whose members share the messages of a durable channel.

    \b
    Examples:
      artcafe queue ls jobs
      artcafe queue dlq ls jobs
      artcafe queue dlq retry jobs 17
    """


@queue.command("ls")
@click.argument("channel")
@json_option
@signs_in
def list_queues(connection: Target, channel: str, *, as_json: bool) -> None:
    """List the durable subscriptions of a channel, and what waits in each.

    \b
    Examples:
      artcafe queue ls jobs
    """
    found = ask(connection, lambda rest: rest.durable_subscriptions(channel))
    print_rows(_COLUMNS, found, as_json=as_json, empty="No durable subscriptions.")


@queue.command()
@click.argument("channel")
@click.argument("name")
@json_option
@signs_in
def lag(connection: Target, channel: str, name: str, *, as_json: bool) -> None:
    """Print how many messages wait in a durable subscription, delivered and not settled ones included.

    \b
    Examples:
      artcafe queue lag jobs workers
    """
    found = ask(connection, lambda rest: rest.durable_subscriptions(channel))
    state = next((each for each in found if each["name"] == name), None)
    if state is None:
        raise click.ClickException(f"{plain(channel)} has no durable subscription {plain(name)}.")
    if as_json:
        print_json(state)
    else:
        click.echo(int(state["pending"]) + int(state["in_flight"]))


@queue.command()
@click.argument("channel")
@click.argument("name")
@yes_option
@json_option
@signs_in
def delete(connection: Target, channel: str, name: str, *, yes: bool, as_json: bool) -> None:
    """Delete a durable subscription: what it has done is forgotten. Its dead letters stay.

    \b
    Examples:
      artcafe queue delete jobs workers
    """
    confirm(f"Delete the durable subscription {plain(name)} of {plain(channel)}?", yes=yes)
    ask(connection, lambda rest: rest.delete_durable_subscription(channel, name))
    gone = f"The durable subscription {plain(name)} is gone."
    print_deleted({"channel": channel, "name": name}, gone, as_json=as_json)


@queue.group()
def dlq() -> None:
    """Dead letters: messages that were delivered too often, or that nobody could do.

    \b
    Examples:
      artcafe queue dlq ls jobs
      artcafe queue dlq purge jobs 17
    """


@dlq.command("ls")
@click.argument("channel")
@_of
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Those behind a sequence.")
@click.option("--limit", "-n", type=click.IntRange(1, 200), default=50, show_default=True, help="How many.")
@json_option
@signs_in
def list_dead_letters(
    connection: Target, channel: str, queue: str | None, after: int | None, limit: int, *, as_json: bool
) -> None:
    """List the dead letters of a channel, the oldest first.

    \b
    Examples:
      artcafe queue dlq ls jobs --queue workers
    """
    page = ask(
        connection, lambda rest: rest.dead_letters(channel, subscription=queue, after=after, limit=limit)
    )
    print_rows(_DEAD, page["dead_letters"], as_json=as_json, empty="No dead letters.")


@dlq.command()
@click.argument("channel")
@click.argument("seq", type=click.IntRange(min=1))
@json_option
@signs_in
def retry(connection: Target, channel: str, seq: int, *, as_json: bool) -> None:
    """Store the message of a dead letter again: all subscriptions of the channel get it.

    \b
    Examples:
      artcafe queue dlq retry jobs 17
    """
    stored = ask(connection, lambda rest: rest.retry_dead_letter(channel, seq))
    if as_json:
        print_json(stored)
    else:
        click.echo(f"Stored again, at {stored['seq']}.")


@dlq.command()
@click.argument("channel")
@click.argument("seq", type=click.IntRange(min=1), required=False)
@_of
@yes_option
@json_option
@signs_in
def purge(
    connection: Target, channel: str, seq: int | None, queue: str | None, *, yes: bool, as_json: bool
) -> None:
    """Remove one dead letter, or all of a channel, or of one of its durable subscriptions.

    \b
    Examples:
      artcafe queue dlq purge jobs 17
      artcafe queue dlq purge jobs --queue workers --yes
    """
    if seq is not None and queue is not None:
        raise click.UsageError("name one dead letter, or a queue")
    what = "all dead letters" if seq is None else f"the dead letter {seq}"
    confirm(f"Remove {what} of {plain(queue or channel)}?", yes=yes)
    if seq is not None:
        ask(connection, lambda rest: rest.remove_dead_letter(channel, seq))
        removed = 1
    else:
        removed = ask(connection, lambda rest: rest.purge_dead_letters(channel, subscription=queue))
    if as_json:
        print_json({"channel": channel, "removed": removed})
    else:
        click.echo(f"{removed} removed.")
