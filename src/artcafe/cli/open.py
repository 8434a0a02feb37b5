"""`artcafe open`: prints or opens the address of the web console, or of the API's description."""

import asyncio

import click

from artcafe.cli.connection import Target, reaches
from artcafe.cli.session import sign_in_code
from artcafe.cli.text import json_option, print_json


@click.command()
@click.option("--docs", is_flag=True, help="The page that describes the API, in place of the console.")
@click.option("--browser", is_flag=True, help="Open it in your browser.")
@click.option("--code", is_flag=True, help="Only print a sign-in code of the platform on this machine.")
@json_option
@reaches
def open_console(connection: Target, *, docs: bool, browser: bool, code: bool, as_json: bool) -> None:
    """Print the address of the platform's web console and, on its own machine, a code to sign in with.

    The code is good once, for five minutes. It is not part of the address: other users of this machine
    can read the arguments of your browser.

    \b
    Examples:
      artcafe open --browser
      artcafe open --code
      artcafe open --docs
    """
    page = f"{connection.url}/docs" if docs else f"{connection.url}/console/"
    proof = None
    if code or (not docs and connection.secret() is not None):
        proof = asyncio.run(sign_in_code(connection))
    if as_json:
        print_json({"url": page} if proof is None else {"url": page, "code": proof})
    elif code:
        click.echo(proof)
    else:
        click.echo(page if proof is None else f"{page}\nsign-in code: {proof}")
    if browser and click.launch(page, wait=True) != 0:
        raise click.ClickException(f"no browser could be started here: open {page} in one")
