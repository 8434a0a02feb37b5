"""`artcafe watch`: prints a tenant's messages and presence live."""

import asyncio
import dataclasses

import click

from artcafe.cli.connection import Target, signs_in
from artcafe.cli.session import signed_in, tenant_of, token_of
from artcafe.cli.text import compact, json_option, plain, print_json
from artcafe.client.dashboard import Dashboard, Event
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_SHOWN = 200
"""Characters that people are shown of what cannot be read."""


@click.command()
@click.option(
    "--channel", "channels", multiple=True, metavar="ID", help="Only this channel; may be repeated."
)
@click.option(
    "--subject", "subjects", multiple=True, metavar="PATTERN", help="Only what matches; may be repeated."
)
@click.option(
    "--preview/--no-preview",
    default=None,
    help="Every message that your role may see. [default: unless a channel or subject is named]",
)
@click.option("--count", "-n", type=click.IntRange(min=1), help="End after this many events.")
@json_option
@signs_in
def watch(
    connection: Target,
    channels: tuple[str, ...],
    subjects: tuple[str, ...],
    preview: bool | None,
    count: int | None,
    *,
    as_json: bool,
) -> None:
    """Print what happens in a tenant, as yourself, until Ctrl-C: agents coming and going, and messages.

    With --json each line is one event as the platform tells it; `type` says what happened. What is no
    event goes to stderr. When you may not hear the last of what you named any more, it ends with that error.

    \b
    Examples:
      artcafe watch --tenant acme
      artcafe watch --channel tasks --count 10
      artcafe watch --no-preview                      only who comes and goes
      artcafe watch --json | jq 'select(.type == "agent.offline")'
    """
    everything = preview if preview is not None else not channels and not subjects
    asyncio.run(_watch(connection, channels, subjects, count, everything=everything, as_json=as_json))


async def _watch(
    connection: Target,
    channels: tuple[str, ...],
    subjects: tuple[str, ...],
    count: int | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    token = await token_of(connection)
    async with signed_in(dataclasses.replace(connection, token=token)) as rest:
        tenant = await tenant_of(connection, rest)
        topics = [*subjects, *[str((await rest.channel(channel))["subject"]) for channel in channels]]
    async with Dashboard(connection.url, token, tenant=tenant) as dashboard:
        for topic in topics:
            await dashboard.subscribe(topic)
        if everything:
            await dashboard.preview()
        click.echo(f"Watching {plain(tenant)}; Ctrl-C ends.", err=True)
        printed, heard = 0, set(topics)
        async for event in dashboard:
            lost = _ended(event)
            if lost in heard:
                heard.discard(lost)
                reason = f"{lost} is not heard any more: {event.get('message')}"
                if not heard and not everything:
                    raise ArtcafeError(Code.forbidden, reason)
                click.echo(plain(reason), err=True)
                continue
            line = _for_people(event)
            if line is None:
                click.echo(f"The platform says: {compact(event)}", err=True)
                continue
            if as_json:
                print_json(event, lines=True)
            else:
                click.echo(line)
            printed += 1
            if printed == count:
                return


def _ended(event: Event) -> str | None:
    """The subject or pattern whose subscription the platform ended, because a right is gone."""
    details = event.get("details")
    if event["type"] != "error" or "id" in event or not isinstance(details, dict):
        return None
    subject = details.get("subject")
    return subject if isinstance(subject, str) else None


def _for_people(event: Event) -> str | None:
    """One line; None for what is no event of the tenant's."""
    time = str(event.get("timestamp", ""))[11:23]
    kind, data = event["type"], event.get("data")
    if kind.startswith("agent.") and isinstance(data, dict):
        agent = str(event.get("topic")).removeprefix("presence.")
        return f"{time}  {plain(agent)} is {plain(str(data.get('status')))}"
    if kind in {"message", "channel_message", "topic_preview_message"}:
        name = "payload" if kind == "message" else "data"
        unread = event.get("undecodable", {}).get(name)
        said = compact(event.get(name)) if unread is None else f"cannot be read: {plain(unread[:_SHOWN])}"
        subject = str(event.get("subject", event.get("topic")))
        return f"{time}  {plain(subject)}  {plain(str(event.get('from')))}  {said}"
    if kind == "undecodable":
        return f"a frame cannot be read: {plain(event['undecodable']['frame'][:_SHOWN])}"
    return None
