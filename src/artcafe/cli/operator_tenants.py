"""`artcafe operator tenants`: all tenants, for operators of the platform."""

from typing import Any

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.parameters import given
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain
from artcafe.client.rest import Json

_COLUMNS = {"ID": "id", "NAME": "name", "STATUS": "status", "PLAN": "plan", "CREATED": "created_at"}

_STATUS = click.Choice(["active", "suspended"])

_SHOWN = click.Choice(["active", "suspended", "deleting"])


class Limit(click.ParamType[tuple[str, int | str | None]]):
    """`NAME=NUMBER`, `NAME=unlimited`, or `NAME=plan` for the plan's own limit again."""

    name = "limit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int | str | None]:
        """The name, and what the platform takes."""
        name, equals, most = str(value).partition("=")
        words: dict[str, str | None] = {"unlimited": "unlimited", "plan": None}
        if equals and name and most in words:
            return name, words[most]
        if not (equals and name and most.isascii() and most.isdigit() and len(most) <= 16):
            self.fail("a limit is NAME=NUMBER, NAME=unlimited or NAME=plan", param, ctx)
        return name, int(most)


@click.group()
def tenants() -> None:
    """All tenants of the platform: their plans, single limits, and whether they are served.

    What is set here stands in the tenant's own audit.

    \b
    Examples:
      artcafe operator tenants list --plan starter
      artcafe operator tenants set acme --plan growth --limit agents=200
      artcafe operator tenants suspend acme
    """


@tenants.command("list")
@click.option("--status", type=_SHOWN, help="Only tenants of this status.")
@click.option("--plan", help="Only tenants of this plan.")
@click.option("--name", "q", metavar="TEXT", help="Only tenants with this in their name or id.")
@json_option
@signs_in
def list_tenants(connection: Target, /, *, as_json: bool, **wanted: Any) -> None:
    """List all tenants.

    \b
    Examples:
      artcafe operator tenants list
      artcafe operator tenants list --status suspended --json | jq -r '.[].id'
    """
    found = ask(connection, lambda rest: rest.all_tenants(**given(wanted)))
    print_rows(_COLUMNS, found, as_json=as_json, empty="No such tenants.")


@tenants.command()
@click.argument("tenant_id", metavar="TENANT")
@json_option
@signs_in
def show(connection: Target, tenant_id: str, *, as_json: bool) -> None:
    """Show any tenant with its limits, overrides and use.

    \b
    Examples:
      artcafe operator tenants show acme
    """
    _print(ask(connection, lambda rest: rest.any_tenant(tenant_id)), as_json=as_json)


@tenants.command()
@click.argument("tenant_id", metavar="TENANT")
@yes_option
@json_option
@signs_in
def suspend(connection: Target, tenant_id: str, *, yes: bool, as_json: bool) -> None:
    """Close a tenant at once, and refuse everything of it until it is resumed. Nothing is deleted.

    Its agents do not come back by themselves.

    \b
    Examples:
      artcafe operator tenants suspend acme
      artcafe operator tenants suspend acme --yes
    """
    confirm(f"Suspend the tenant {plain(tenant_id)}, and close all its connections?", yes=yes)
    _print(ask(connection, lambda rest: rest.operate_tenant(tenant_id, status="suspended")), as_json=as_json)


@tenants.command()
@click.argument("tenant_id", metavar="TENANT")
@json_option
@signs_in
def resume(connection: Target, tenant_id: str, *, as_json: bool) -> None:
    """Serve a suspended tenant again.

    \b
    Examples:
      artcafe operator tenants resume acme
    """
    _print(ask(connection, lambda rest: rest.operate_tenant(tenant_id, status="active")), as_json=as_json)


@tenants.command("set")
@click.argument("tenant_id", metavar="TENANT")
@click.option("--plan", help="starter, growth, scale or enterprise.")
@click.option(
    "--limit",
    "limits",
    type=Limit(),
    multiple=True,
    metavar="NAME=NUMBER",
    help="Override one limit of the plan; NAME=unlimited, or NAME=plan for the plan's own. May be repeated.",
)
@click.option("--status", type=_STATUS, help="Whether it is served; `suspended` asks before.")
@yes_option
@json_option
@signs_in
def set_tenant(
    connection: Target,
    tenant_id: str,
    *,
    plan: str | None,
    limits: tuple[tuple[str, int | str | None], ...],
    status: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Set plan, single limits and status, and leave the rest.

    \b
    Examples:
      artcafe operator tenants set acme --plan growth
      artcafe operator tenants set acme --limit agents=200 --limit connections=unlimited
      artcafe operator tenants set acme --limit agents=plan
    """
    fields = given({"plan": plan, "status": status, "limits": dict(limits) or None})
    if not fields:
        raise click.UsageError("nothing to set: give --plan, --limit or --status")
    if status == "suspended":
        confirm(f"Suspend the tenant {plain(tenant_id)}, and close all its connections?", yes=yes)
    _print(ask(connection, lambda rest: rest.operate_tenant(tenant_id, **fields)), as_json=as_json)


def _print(tenant: Json, *, as_json: bool) -> None:
    """Print a tenant, its limits and its use one by one."""
    print_record(tenant, as_json=as_json, hide={"limits", "overrides", "usage"})
    if as_json:
        return
    overrides = tenant.get("overrides", {})
    print_record(
        {
            f"limit of {name}": f"{'unlimited' if most is None else most}"
            + (", set by an operator" if name in overrides else "")
            for name, most in tenant.get("limits", {}).items()
        }
    )
    print_record({f"{name} now" if name in _NOW else name: n for name, n in tenant.get("usage", {}).items()})


_NOW = frozenset({"agents", "channels", "connections", "storage_bytes", "durable_bytes"})
"""What is told as it is now; the rest is of this month."""
