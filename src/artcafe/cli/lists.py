"""The options that list commands share."""

import click

_ORDERS = ("id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at")

search_option = click.option("--search", "-s", "q", metavar="TEXT", help="Only with this in the name or id.")

order_option = click.option(
    "--order",
    type=click.Choice(_ORDERS),
    metavar="FIELD",
    help="Sort by id, name, created_at or updated_at; - in front is the other way round. [default: id]",
)
