"""`artcafe tenants`: create, list, show, update and delete tenants."""

from typing import Any

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.parameters import JsonText, changes, given, with_options
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_deleted
from artcafe.cli.usage import limits_of
from artcafe.client.rest import Json

_COLUMNS = {
    "ID": "id",
    "NAME": "name",
    "STATUS": "status",
    "TIER": "subscription_tier",
    "CREATED": "created_at",
}

_CLEARABLE = ("description", "website", "logo_url", "primary_color", "secondary_color")

_FIELDS = (
    click.option("--admin-email", help="Whom to write to."),
    click.option(
        "--tier",
        "subscription_tier",
        help="The plan: starter, growth, scale or enterprise; an operator sets it.",
    ),
    click.option("--description"),
    click.option("--website", metavar="URL"),
    click.option("--logo-url", metavar="URL"),
    click.option("--primary-color", metavar="#RRGGBB"),
    click.option("--secondary-color", metavar="#RRGGBB"),
    click.option("--metadata", type=JsonText(mapping=True), help="Any JSON object."),
    click.option(
        "--allow-client-challenge/--no-allow-client-challenge",
        default=None,
        help="Whether agents may log in with a challenge of their own, as older clients do.",
    ),
)


@click.group()
def tenants() -> None:
    """Tenants: nothing crosses from one to another.

    \b
    Examples:
      artcafe tenants create "Acme" --id acme
      artcafe tenants list
      artcafe tenants update acme --allow-client-challenge
    """


@tenants.command("list")
@json_option
@signs_in
def list_tenants(connection: Target, *, as_json: bool) -> None:
    """List the tenants you belong to.

    \b
    Examples:
      artcafe tenants list
      artcafe tenants list --json | jq -r '.[].id'
    """
    found = ask(connection, lambda rest: rest.tenants())
    print_rows(
        _COLUMNS, found, as_json=as_json, empty="No tenants yet; make one with `artcafe tenants create NAME`."
    )


@tenants.command()
@click.argument("name")
@click.option("--id", "tenant_id", help="The id: 1 to 63 letters, digits, _ and -. [default: from the name]")
@with_options(_FIELDS)
@click.option("--terms-version", metavar="VERSION", help="Accept the operator's terms; see artcafe legal.")
@click.option("--privacy-version", metavar="VERSION", help="Accept the operator's privacy notice.")
@json_option
@signs_in
def create(connection: Target, /, name: str, tenant_id: str | None, *, as_json: bool, **fields: Any) -> None:
    """Make a tenant; you become its owner.

    \b
    Examples:
      artcafe tenants create "Acme" --id acme
      artcafe tenants create "Acme" --tier growth --admin-email ops@acme.example
    """
    wanted = given({"id": tenant_id, "name": name, **fields})
    made = ask(connection, lambda rest: rest.create_tenant(**wanted))
    # What admin_token repeats is the caller's own token: no reason to show it on a screen.
    print_record(made, as_json=as_json, hide={"success", "admin_token"})


@tenants.command()
@click.argument("tenant_id", metavar="TENANT")
@json_option
@signs_in
def show(connection: Target, tenant_id: str, *, as_json: bool) -> None:
    """Show one tenant, with the limits of its plan.

    \b
    Examples:
      artcafe tenants show acme
    """
    _print_tenant(ask(connection, lambda rest: rest.tenant(tenant_id), tenant=tenant_id), as_json=as_json)


@tenants.command()
@click.argument("tenant_id", metavar="TENANT")
@click.option("--name")
@with_options(_FIELDS)
@click.option(
    "--clear", multiple=True, type=click.Choice(_CLEARABLE), help="Have none of it; may be repeated."
)
@json_option
@signs_in
def update(
    connection: Target, /, tenant_id: str, *, clear: tuple[str, ...], as_json: bool, **fields: Any
) -> None:
    """Change what is named and leave the rest.

    \b
    Examples:
      artcafe tenants update acme --name "Acme Ltd" --website https://acme.example
      artcafe tenants update acme --primary-color '#1a2b3c' --clear logo_url
      artcafe tenants update acme --allow-client-challenge
    """
    wanted = changes(fields, clear)
    changed = ask(connection, lambda rest: rest.change_tenant(tenant_id, **wanted), tenant=tenant_id)
    _print_tenant(changed, as_json=as_json)


def _print_tenant(tenant: Json, *, as_json: bool) -> None:
    """Print a tenant: its id once, its limits one by one."""
    print_record(tenant, as_json=as_json, hide={"tenant_id", "limits"})
    if not as_json and "limits" in tenant:
        print_record(limits_of(tenant))


@tenants.command()
@click.argument("tenant_id", metavar="TENANT")
@yes_option
@json_option
@signs_in
def delete(connection: Target, tenant_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete a tenant with its agents, keys and channels, for ever.

    Nobody enters it any more when this returns. What it stored is removed behind that; until then it is shown
    as `deleting`, and its id is taken.

    \b
    Examples:
      artcafe tenants delete acme
      artcafe tenants delete acme --yes
    """
    confirm(f"Delete the tenant {plain(tenant_id)} with everything in it, for ever?", yes=yes)
    ask(connection, lambda rest: rest.delete_tenant(tenant_id), tenant=tenant_id)
    print_deleted({"id": tenant_id}, f"The tenant {plain(tenant_id)} is deleted.", as_json=as_json)
