"""`artcafe audit`: changes in a tenant, with actor, time and address."""

import click

from artcafe.cli.connection import Target, signs_in
from artcafe.cli.session import ask
from artcafe.cli.table import print_rows
from artcafe.cli.text import json_option
from artcafe.client.rest import Json

_COLUMNS = {
    "AT": "at",
    "BY": "actor",
    "ACTION": "action",
    "OF": "target",
    "FIELDS": "fields",
    "FROM": "remote",
    "REQUEST": "request_id",
}


@click.command()
@click.option("--actor", metavar="USER", help="Only what this user did.")
@click.option("--action", metavar="VERB", help="Only this, as in agent.update.")
@click.option("--target", metavar="ID", help="Only what was done to this.")
@click.option(
    "--count", "-n", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most."
)
@json_option
@signs_in
def audit(
    connection: Target,
    actor: str | None,
    action: str | None,
    target: str | None,
    count: int,
    *,
    as_json: bool,
) -> None:
    """Show who changed what in a tenant, the newest first. Admins and owners may.

    \b
    Examples:
      artcafe audit --tenant acme
      artcafe audit --action agent.update --target planner
      artcafe audit --count 1000 --json | jq -r '.[].actor' | sort | uniq -c
    """
    found = ask(connection, lambda rest: rest.audit(actor=actor, action=action, target=target, most=count))
    if not as_json:
        found = [_signed(entry) for entry in found]
    print_rows(_COLUMNS, found, as_json=as_json, empty="Nothing was changed.")


def _signed(entry: Json) -> Json:
    """The entry for people: an operator of the platform is called so, behind the name."""
    return {**entry, "actor": f"{entry['actor']} (operator)"} if entry.get("operator") else entry
