"""`artcafe invitations`: invite people by a token, without knowing their subject at the issuer."""

import sys

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.members import ROLES
from artcafe.cli.parameters import given
from artcafe.cli.session import ask, ask_in_tenant
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_deleted, print_json

_COLUMNS = {"ID": "id", "EMAIL": "email", "ROLE": "role", "BY": "created_by", "EXPIRES": "expires_at"}


@click.group()
def invitations() -> None:
    """Invitations: single-use tokens that make their bearer a member.

    \b
    Examples:
      artcafe invitations create --role admin --email ada@acme.example
      artcafe invitations accept acme.0f8fad5b.p5sL3bq0
    """


@invitations.command()
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@click.option("--email", help="Whom it is for; a note, which binds nobody.")
@click.option(
    "--days", "expires_in_days", type=click.IntRange(1, 30), help="How long it is good. [default: 7]"
)
@json_option
@signs_in
def create(
    connection: Target, role: str, email: str | None, expires_in_days: int | None, *, as_json: bool
) -> None:
    """Make an invitation, and print its token: give it to the person it is for.

    \b
    Examples:
      artcafe invitations create
      artcafe invitations create --role admin --email ada@acme.example --days 2
    """

    fields = given({"role": role, "email": email, "expires_in_days": expires_in_days})
    made = ask_in_tenant(connection, lambda rest, tenant: rest.create_invitation(tenant, **fields))
    if as_json:
        print_json(made)
        return
    print_record(made["invitation"])
    click.echo("\nThe token is shown this once; whoever has it comes in:\n", err=True)
    click.echo(plain(str(made["token"])))


@invitations.command("list")
@json_option
@signs_in
def list_invitations(connection: Target, *, as_json: bool) -> None:
    """List the invitations that stand open.

    \b
    Examples:
      artcafe invitations list --tenant acme
    """

    found = ask_in_tenant(connection, lambda rest, tenant: rest.invitations(tenant))
    print_rows(_COLUMNS, found, as_json=as_json, empty="No invitation stands open.")


@invitations.command()
@click.argument("invitation")
@yes_option
@json_option
@signs_in
def revoke(connection: Target, invitation: str, *, yes: bool, as_json: bool) -> None:
    """Withdraw an invitation, by its id.

    \b
    Examples:
      artcafe invitations revoke 0f8fad5bd9cb469fa16570867728950e
    """
    confirm(f"Withdraw the invitation {plain(invitation)}, for ever?", yes=yes)

    ask_in_tenant(connection, lambda rest, tenant: rest.revoke_invitation(tenant, invitation))
    print_deleted({"id": invitation}, f"The invitation {plain(invitation)} is withdrawn.", as_json=as_json)


@invitations.command()
@click.argument("invitation", metavar="INVITATION|-")
@json_option
@signs_in
def accept(connection: Target, invitation: str, *, as_json: bool) -> None:
    """Become a member by an invitation's token; `-` reads it from standard input.

    \b
    Examples:
      artcafe invitations accept acme.0f8fad5b.p5sL3bq0
      pbpaste | artcafe invitations accept -
    """
    token = sys.stdin.read().strip() if invitation == "-" else invitation
    print_record(ask(connection, lambda rest: rest.accept_invitation(token)), as_json=as_json)
