"""`artcafe logout`: removes the stored sign-in."""

import asyncio

import click

from artcafe.cli.connection import Target, reaches
from artcafe.cli.sign_ins import SignIns
from artcafe.client.sign_in import revoke
from artcafe.wire.errors import ArtcafeError


@click.command()
@reaches
def logout(connection: Target) -> None:
    """Sign out: the tokens are deleted here, and ended at the issuer where it can.

    \b
    Examples:
      artcafe logout
      artcafe logout --url https://pubsub.example.com
    """
    gone = SignIns.of(connection.data_dir).forget(connection.url)
    if gone is None:
        click.echo(f"Nobody is signed in at {connection.url}.")
        return
    if gone.refresh is not None:
        try:
            asyncio.run(revoke(gone.issuer, gone.refresh))
        except ArtcafeError as error:
            click.echo(f"The issuer was not told: {error.message}", err=True)
    click.echo(f"Signed out of {connection.url}.")
