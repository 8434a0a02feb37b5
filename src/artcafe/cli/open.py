"""`artcafe open`: where the API is described."""

import click

from artcafe.cli.connection import Connection, reaches
from artcafe.cli.text import json_option, print_json


@click.command()
@click.option("--browser", is_flag=True, help="Open it in your browser.")
@json_option
@reaches
def open_docs(connection: Connection, *, browser: bool, as_json: bool) -> None:
    """Print the address of the page that describes the platform's API, to read and to try out.

    \b
    Examples:
      artcafe open
      artcafe open --browser
    """
    page = f"{connection.url}/docs"
    if as_json:
        print_json({"url": page})
    else:
        click.echo(page)
    if browser and click.launch(page, wait=True) != 0:
        raise click.ClickException("no browser could be started here")
