"""`artcafe members`: the humans of a tenant."""

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.parameters import given
from artcafe.cli.session import ask_in_tenant
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_deleted

_COLUMNS = {"USER": "user_id", "EMAIL": "email", "ROLE": "role", "JOINED": "joined_date", "ACTIVE": "active"}

ROLES = ("viewer", "member", "admin", "owner")


@click.group()
def members() -> None:
    """Members: humans with a role. Viewers look, members manage agents and channels, admins manage
    people and read the audit, owners own.

    \b
    Examples:
      artcafe members list --tenant acme
      artcafe members add 8f1c2f4e --role admin --email ada@acme.example
      artcafe members update 8f1c2f4e --role member
    """


@members.command("list")
@json_option
@signs_in
def list_members(connection: Target, *, as_json: bool) -> None:
    """List everybody in the tenant.

    \b
    Examples:
      artcafe members list
      artcafe members list --tenant acme --json | jq -r '.[].email'
    """

    found = ask_in_tenant(connection, lambda rest, tenant: rest.members(tenant))
    print_rows(_COLUMNS, found, as_json=as_json, empty="Nobody is here.")


@members.command()
@click.argument("user")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@click.option("--email", help="For people to read.")
@json_option
@signs_in
def add(connection: Target, user: str, role: str, email: str | None, *, as_json: bool) -> None:
    """Add a user, by the name that the token issuer has for it (the token's `sub`).

    Invite a human whose name you do not know.

    \b
    Examples:
      artcafe members add 8f1c2f4e --role admin --email ada@acme.example
      artcafe invitations create --role admin
    """

    fields = given({"user_id": user, "role": role, "email": email})
    added = ask_in_tenant(connection, lambda rest, tenant: rest.add_member(tenant, **fields))
    print_record(added, as_json=as_json)


@members.command()
@click.argument("user")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--email", help="For people to read.")
@json_option
@signs_in
def update(connection: Target, user: str, role: str, email: str | None, *, as_json: bool) -> None:
    """Give a member another role; it applies to open dashboards at once.

    \b
    Examples:
      artcafe members update 8f1c2f4e --role viewer
    """

    fields = given({"role": role, "email": email})
    changed = ask_in_tenant(connection, lambda rest, tenant: rest.change_member(tenant, user, **fields))
    print_record(changed, as_json=as_json)


@members.command()
@click.argument("user")
@yes_option
@json_option
@signs_in
def remove(connection: Target, user: str, *, yes: bool, as_json: bool) -> None:
    """Remove a member, or leave yourself. The last owner stays.

    \b
    Examples:
      artcafe members remove 8f1c2f4e
    """
    confirm(f"Remove the member {plain(user)}?", yes=yes)

    ask_in_tenant(connection, lambda rest, tenant: rest.remove_member(tenant, user))
    print_deleted({"user_id": user}, f"{plain(user)} is no member any more.", as_json=as_json)
