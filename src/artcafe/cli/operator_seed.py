"""`artcafe operator show|rotate|switch|forget`: the seed from which all keys of the bus are derived."""

from typing import Any

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.server_options import server_options, settings_from
from artcafe.server import seed
from artcafe.server.seed import SeedError


@click.command()
@server_options
def show(**given: Any) -> None:
    """Show the operator's public key of each seed: the name of the installation in NATS.

    \b
    Examples:
      artcafe operator show --data-dir /var/lib/artcafe
    """
    try:
        for file, public in seed.operators(settings_from(given)).items():
            click.echo(f"{file}  {public}")
    except SeedError as error:
        raise click.ClickException(f"{error}") from error


@click.command()
@server_options
def rotate(**given: Any) -> None:
    """Make the next seed beside the one in force, and say what to do with it. Nothing that runs notices.

    \b
    Examples:
      artcafe operator rotate --data-dir /var/lib/artcafe
    """
    try:
        path = seed.prepare(settings_from(given))
    except SeedError as error:
        raise click.ClickException(f"{error}") from error
    click.echo(
        f"The next seed is {path}; nothing uses it yet.\n"
        "1. Copy it to the data directory of every machine that runs servers, mode 600.\n"
        "2. Write the configuration of NATS: `artcafe nats-config --next`, with the options of before.\n"
        "3. Stop all servers, then NATS, every node of it.\n"
        "4. `artcafe operator switch` on every machine that runs servers; put the configuration in place.\n"
        "5. Start NATS, then the servers. `artcafe operator switch --back` undoes 4.\n"
        "6. When everything answers: `artcafe operator forget`.\n"
        "With `artcafe up`: stop it, `artcafe operator switch`, start it, `artcafe operator forget`."
    )


@click.command()
@server_options
@click.option("--back", is_flag=True, help="Put the old seed in force again, and keep the new one beside.")
def switch(back: bool, **given: Any) -> None:
    """Put the next seed in force and keep the old one beside. What runs has to be started anew.

    \b
    Examples:
      artcafe operator switch --data-dir /var/lib/artcafe
      artcafe operator switch --back --data-dir /var/lib/artcafe
    """
    try:
        seed.switch(settings_from(given), back=back)
    except SeedError as error:
        raise click.ClickException(f"{error}") from error
    click.echo("The seed is in force. Start NATS with its configuration, then the servers.")


@click.command()
@server_options
@yes_option
def forget(yes: bool, **given: Any) -> None:
    """Remove the seeds that are not in force: there is no way back then.

    \b
    Examples:
      artcafe operator forget --data-dir /var/lib/artcafe
      artcafe operator forget --data-dir /var/lib/artcafe --yes
    """
    confirm("Remove every seed but the one in force, for ever?", yes=yes)
    try:
        gone = seed.forget(settings_from(given))
    except SeedError as error:
        raise click.ClickException(f"{error}") from error
    for path in gone:
        click.echo(f"{path} is removed.")
    if not gone:
        click.echo("There is no other seed.")
