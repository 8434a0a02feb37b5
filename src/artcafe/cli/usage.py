"""`artcafe usage`: a tenant's usage by day, and its plan's limits."""

from datetime import datetime

import click

from artcafe.cli.connection import Target, signs_in
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, print_json
from artcafe.client.rest import Json

_COLUMNS = {
    "DAY": "date",
    "MESSAGES": "messages_count",
    "BYTES": "bytes_count",
    "API CALLS": "api_calls_count",
    "ACTIVE AGENTS": "active_agents_count",
    "ACTIVE CHANNELS": "active_channels_count",
}

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--from", "start", type=_DAY, metavar="DAY", help="The first UTC day. [default: a week ago]")
@click.option("--to", "end", type=_DAY, metavar="DAY", help="The last UTC day. [default: today]")
@click.option("--billing", is_flag=True, help="This calendar month against the plan.")
@json_option
@signs_in
def usage(
    connection: Target, start: datetime | None, end: datetime | None, *, billing: bool, as_json: bool
) -> None:
    """Show what a tenant used per day, the totals, and the limits of its plan.

    \b
    Examples:
      artcafe usage --tenant acme
      artcafe usage --from 2026-11-01 --to 2026-11-30
      artcafe usage --billing --json
    """
    if billing:
        if start is not None or end is not None:
            raise click.UsageError("--billing is about this month, so no day goes with it")
        _print_month(ask(connection, lambda rest: rest.billing()), as_json=as_json)
        return
    used = ask(connection, lambda rest: rest.usage(_text(start), _text(end)))
    if as_json:
        print_json(used)
        return
    print_rows(_COLUMNS, used["metrics"], as_json=False, empty="No such days.")
    click.echo()
    print_record({f"total {name.removesuffix('_count')}": value for name, value in used["totals"].items()})
    click.echo()
    print_record(limits_of(used))


def limits_of(answer: Json) -> Json:
    """The limits of a tenant's plan, in words where there is none."""
    return {name: "unlimited" if most is None else most for name, most in answer["limits"].items()}


def _print_month(month: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(month)
        return
    print_record({name: month[name] for name in ("plan", "billing_cycle", "status")})
    click.echo()
    print_record({f"{name} this month": value for name, value in month["current_usage"].items()})
    click.echo()
    print_record(limits_of(month))


def _text(day: datetime | None) -> str | None:
    return None if day is None else day.date().isoformat()
