"""`artcafe legal`: the operator's documents, and their acceptances by a tenant."""

import click

from artcafe.cli.connection import Target, signs_in
from artcafe.cli.parameters import given
from artcafe.cli.session import ask, ask_in_tenant
from artcafe.cli.table import print_rows
from artcafe.cli.text import json_option, print_json

_PUBLISHED = {"DOCUMENT": "document", "VERSION": "version", "URL": "url"}
_ACCEPTED = {
    "DOCUMENT": "document",
    "VERSION": "version",
    "BY": "user_id",
    "EMAIL": "email",
    "AT": "accepted_at",
    "FROM": "remote",
}


@click.group()
def legal() -> None:
    """Legal: the terms and the privacy notice that the operator publishes, if any.

    \b
    Examples:
      artcafe legal versions
      artcafe legal accept --terms 2026-11-01 --tenant acme
    """


@legal.command()
@json_option
@signs_in
def versions(connection: Target, *, as_json: bool) -> None:
    """Show the current version of each document.

    \b
    Examples:
      artcafe legal versions
    """
    published = ask(connection, lambda rest: rest.legal_versions())
    if as_json:
        print_json(published)
        return
    rows = [{"document": name, **edition} for name, edition in published.items() if edition is not None]
    print_rows(_PUBLISHED, rows, as_json=False, empty="Nothing is published here, so nothing to accept.")


@legal.command()
@json_option
@signs_in
def accepted(connection: Target, *, as_json: bool) -> None:
    """List what was accepted for the tenant, by whom and when.

    \b
    Examples:
      artcafe legal accepted --tenant acme
    """

    found = ask_in_tenant(connection, lambda rest, tenant: rest.acceptances(tenant))
    print_rows(_ACCEPTED, found, as_json=as_json, empty="Nothing was accepted.")


@legal.command()
@click.option("--terms", metavar="VERSION", help="The version of the terms that you read.")
@click.option("--privacy", metavar="VERSION", help="The version of the privacy notice that you read.")
@json_option
@signs_in
def accept(connection: Target, terms: str | None, privacy: str | None, *, as_json: bool) -> None:
    """Accept current versions for the tenant.

    \b
    Examples:
      artcafe legal accept --terms 2026-11-01 --privacy 2026-06-15
    """
    wanted = given({"terms_version": terms, "privacy_version": privacy})
    if not wanted:
        raise click.UsageError("name what you accept: --terms VERSION, --privacy VERSION")

    counting = ask_in_tenant(connection, lambda rest, tenant: rest.accept_legal(tenant, **wanted))
    print_rows(_ACCEPTED, counting, as_json=as_json, empty="Nothing was accepted.")
