"""`artcafe token`: prints an access token of the platform on this machine."""

import asyncio

import click

from artcafe.cli.connection import Target, reaches
from artcafe.cli.session import local_token
from artcafe.cli.text import json_option, print_json


@click.command()
@click.option(
    "--role",
    type=click.Choice(["owner", "admin", "member", "viewer"]),
    help="The role in the tenant. [default: owner]",
)
@click.option("--email", help="The member of the tenant with this address; one that nobody has is refused.")
@json_option
@reaches
def token(connection: Target, role: str | None, email: str | None, *, as_json: bool) -> None:
    """Print a token of the platform on this machine.

    Its own issuer makes it, from the secret in the data directory; other installations have an OIDC
    issuer for that. Without a tenant it is the token of the installation's first user.

    \b
    Examples:
      artcafe token
      export ARTCAFE_TOKEN=$(artcafe token)
      artcafe token --tenant acme --role viewer --json
      artcafe token --tenant acme --email ada@acme.example
    """
    if role is not None and connection.tenant is None:
        raise click.UsageError("a role is one in a tenant: give --tenant")
    if email is not None and (connection.tenant is None or role is not None):
        raise click.UsageError("an address is of somebody in a tenant: give --tenant, and no --role")
    answer = asyncio.run(local_token(connection, tenant=connection.tenant, role=role, email=email))
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["access_token"])
