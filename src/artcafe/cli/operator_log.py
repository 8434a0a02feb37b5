"""`artcafe operator log`: creations, deletions and operator changes of tenants."""

from typing import Any

import click

from artcafe.cli.connection import Target, signs_in
from artcafe.cli.parameters import given
from artcafe.cli.session import ask
from artcafe.cli.table import print_rows
from artcafe.cli.text import json_option

_COLUMNS = {
    "AT": "at",
    "BY": "actor",
    "ACTION": "action",
    "TENANT": "tenant_id",
    "FIELDS": "fields",
    "FROM": "remote",
    "REQUEST": "request_id",
}


@click.command()
@click.option("--of", "tenant_id", metavar="TENANT", help="Only what was done with this tenant.")
@click.option("--actor", metavar="USER", help="Only what this user did.")
@click.option("--action", metavar="VERB", help="Only this, as in tenant.delete.")
@click.option(
    "--count", "-n", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most."
)
@json_option
@signs_in
def log(connection: Target, /, *, tenant_id: str | None, count: int, as_json: bool, **wanted: Any) -> None:
    """Show who made, deleted, suspended, resumed and set tenants, the newest first; also those that are gone.

    \b
    Examples:
      artcafe operator log
      artcafe operator log --of acme --json | jq -r '.[].actor'
    """
    found = ask(
        connection, lambda rest: rest.installation_log(most=count, **given({**wanted, "tenant": tenant_id}))
    )
    print_rows(_COLUMNS, found, as_json=as_json, empty="Nothing was done with tenants.")
