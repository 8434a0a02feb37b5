"""`artcafe sub`: prints messages, one line each."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime

import click

from artcafe.cli.agent_login import AgentLoginOptions, logs_in
from artcafe.cli.connection import Target, reaches
from artcafe.cli.text import json_option, plain
from artcafe.client.client import Client
from artcafe.client.errors import SlowSubscriptionError, UndecodableError
from artcafe.client.message import Message
from artcafe.client.subscription import Subscription
from artcafe.wire.frames import NotRecovered

_SPACE = re.compile(r"[\t\r\n]+")
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")


_LOST = {
    NotRecovered.epoch: "The channel is another one",
    NotRecovered.gone: "The channel has removed older messages",
    NotRecovered.ahead: "The channel lost messages",
}


@click.command()
@click.argument("pattern")
@click.option("--count", "-n", type=click.IntRange(min=1), help="End after this many messages.")
@click.option("--queue", "-q", metavar="NAME", help="Share the messages with the others of this group.")
@click.option("--since", metavar="PLACE", help="Begin with what is stored: 1h, all, last, a time, a number.")
@logs_in
@json_option
@reaches
def sub(
    connection: Target,
    login: AgentLoginOptions,
    pattern: str,
    count: int | None,
    queue: str | None,
    since: str | None,
    *,
    as_json: bool,
) -> None:
    """Print messages as they arrive, until Ctrl-C. In a PATTERN `*` is one token and a last `>` the rest.

    With --json each line is one message: subject, from (the proven sender), id, timestamp, data.
    What is not a message, such as an absence in which some may have been missed, goes to stderr.

    \b
    Examples:
      artcafe sub 'tasks.*' -t acme -a worker -k worker.key
      artcafe sub '>' -t acme -a worker -k worker.key --json | jq .data
      artcafe sub tasks.new -t acme -a worker -k worker.key --queue workers --count 10
      artcafe sub 'tasks.>' -t acme -a worker -k worker.key --since 1h
    """
    messages = (pattern, queue, since)
    asyncio.run(_print_all(login.client(connection), messages, count, as_json=as_json))


async def _print_all(
    client: Client, wanted: tuple[str, str | None, str | None], count: int | None, *, as_json: bool
) -> None:
    pattern, queue, since = wanted
    async with client, client.subscribe(pattern, queue=queue, since=since) as messages:
        click.echo(f"Subscribed to {plain(pattern)}; Ctrl-C ends.", err=True)
        printed = 0
        while count is None or printed < count:
            message = await next_message(messages)
            if message is None:
                return
            click.echo(line_of(message, as_json=as_json))
            printed += 1


async def next_message(messages: Subscription) -> Message | None:
    """The next message, None after the last; what was missed before it is told on stderr."""
    while True:
        try:
            message = await anext(messages, None)
        except SlowSubscriptionError as slow:
            click.echo(f"{slow.dropped} messages are missing here: they came too fast.", err=True)
            continue
        if message is not None and message.after_gap:
            why = "The connection was lost for a while" if messages.lost is None else _LOST[messages.lost]
            click.echo(f"{why}: messages may be missing here.", err=True)
        return message


def line_of(message: Message, *, as_json: bool) -> str:
    """A message as one line, for people or for programs."""
    return _for_programs(message) if as_json else _for_people(message)


def _for_people(message: Message) -> str:
    data = _SPACE.sub(" ", message.raw.decode(errors="replace"))
    time = _time(message, lambda at: at.strftime("%H:%M:%S.%f")[:-3]) or "--:--:--.---"
    return f"{time}  {plain(message.subject)}  {plain(message.sender)}  {plain(data)}"


def _for_programs(message: Message) -> str:
    """The message as one line of ASCII JSON; `data` with every number and key as it was published, or null
    where it cannot be read: then `undecodable` has its text."""
    fields: dict[str, object] = {
        "subject": message.subject,
        "from": message.sender,
        "id": message.id,
        "timestamp": _time(message, lambda at: at.isoformat(timespec="milliseconds").replace("+00:00", "Z")),
    }
    if message.seq is not None:
        fields |= {"seq": message.seq, "epoch": message.epoch}
    if message.headers:
        fields["headers"] = dict(message.headers)
    if message.reply_to is not None:
        fields["reply_to"] = message.reply_to
    if message.undecodable:
        return json.dumps({**fields, "data": None, "undecodable": message.raw.decode(errors="replace")})
    # Outside of strings JSON knows no other character than these, and inside of them no such space.
    data = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], _SPACE.sub(" ", message.raw.decode()))
    return f'{json.dumps(fields)[:-1]}, "data": {data}}}'


def _time(message: Message, written: Callable[[datetime], str]) -> str | None:
    """The time of the message; None where its timestamp is not a time."""
    try:
        return written(message.timestamp)
    except UndecodableError:
        return None
