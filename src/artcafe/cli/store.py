"""artcafe store: creates a store, and copies one to another place."""

from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.server_options import server_options, settings_from
from artcafe.cli.text import plain
from artcafe.server import storage


@click.group()
def store() -> None:
    """The store as a whole: make it, move it.

    \b
    Examples:
      ARTCAFE_STORE=dynamodb:artcafe artcafe store create
      artcafe store copy --from sqlite --to dynamodb:artcafe
    """


@store.command()
@server_options
@click.option("--cloudformation", is_flag=True, help="Print a template of CloudFormation instead.")
def create(cloudformation: bool, **given: Any) -> None:
    """Make the DynamoDB table that ARTCAFE_STORE names, or complete it: on-demand, expiry, recovery.

    \b
    Examples:
      ARTCAFE_STORE=dynamodb:artcafe AWS_REGION=eu-central-1 artcafe store create
      ARTCAFE_STORE=dynamodb:artcafe artcafe store create --cloudformation > store.json
    """
    settings = settings_from(given)
    try:
        if cloudformation:
            click.echo(storage.template(settings))
            return
        for warning in storage.create(settings):
            click.echo(f"Warning: {warning}", err=True)
    except storage.FAILURES as error:
        raise click.ClickException(f"{error}") from error
    click.echo(f"The store {settings.store} is there.")


@store.command()
@server_options
@click.option(
    "--from", "source", required=True, metavar="PLACE", help="sqlite, sqlite:FILE or dynamodb:TABLE."
)
@click.option("--to", "target", required=True, metavar="PLACE", help="The same; it has to be empty.")
@click.option(
    "--over", is_flag=True, help="Make a target that holds something equal to the source; asks before."
)
@click.option(
    "--ignore-servers", is_flag=True, help="Do not look whether servers run, or were killed just now."
)
@yes_option
def copy(source: str, target: str, over: bool, ignore_servers: bool, yes: bool, **given: Any) -> None:
    """Copy everything from one store to another, until both hold the same. Stop all servers before.

    It compares both at the end, and copies again what differs. Begun again after an interruption, it goes on
    where it was; servers do not open the target until it is done.

    \b
    Examples:
      artcafe store copy --from sqlite --to dynamodb:artcafe
      artcafe store copy --from dynamodb:artcafe --to sqlite:/var/backups/store.sqlite
    """
    if over:
        confirm(f"Replace and remove, for ever, what {plain(target)} holds and the source does not?", yes=yes)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("copying", total=None)

        def tell(told: storage.Progress) -> None:
            progress.update(task, description=told.doing, completed=told.rows)

        try:
            copied = storage.copy(
                settings_from(given), source, target, over=over, ignore_servers=ignore_servers, tell=tell
            )
        except storage.FAILURES as error:
            raise click.ClickException(f"{error}") from error
    click.echo(f"{copied.items} items and {copied.counters} counters are the same on both sides.")
