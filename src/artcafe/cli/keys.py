"""`artcafe keys`: the SSH public keys of an agent."""

import click

from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.parameters import PublicKeyFile
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_deleted, print_json
from artcafe.client.rest import Json, Rest

_COLUMNS = {
    "FINGERPRINT": "fingerprint",
    "TYPE": "type",
    "COMMENT": "comment",
    "STATUS": "status",
    "CREATED": "created_at",
    "LAST USED": "last_used_at",
}
_HASH = "SHA256:"


@click.group()
def keys() -> None:
    """Keys: an agent may have several, so that a new one can take over before the old one goes.

    KEY is a fingerprint as ssh-keygen prints it, or enough of its beginning to mean one key.

    \b
    Examples:
      artcafe keys add planner new.pub
      artcafe keys list planner
      artcafe keys revoke planner SHA256:Qk3x
    """


@keys.command("list")
@click.argument("agent")
@json_option
@signs_in
def list_keys(connection: Target, agent: str, *, as_json: bool) -> None:
    """List the keys of an agent, revoked ones included.

    \b
    Examples:
      artcafe keys list planner
      artcafe keys list planner --json | jq -r '.[].fingerprint'
    """
    found = ask(connection, lambda rest: rest.keys(agent))
    print_rows(
        _COLUMNS, found, as_json=as_json, empty="No keys; give it one with `artcafe keys add AGENT FILE.pub`."
    )


@keys.command()
@click.argument("agent")
@click.argument("public_key", type=PublicKeyFile(), metavar="FILE.pub")
@json_option
@signs_in
def add(connection: Target, agent: str, public_key: str, *, as_json: bool) -> None:
    """Give an agent one more key.

    \b
    Examples:
      artcafe keys add planner ~/.ssh/planner.pub
    """
    added = ask(connection, lambda rest: rest.add_key(agent, public_key))
    print_record(added, as_json=as_json, hide={"id", "public_key"})


@keys.command()
@click.argument("agent")
@click.argument("key")
@yes_option
@json_option
@signs_in
def revoke(connection: Target, agent: str, key: str, *, yes: bool, as_json: bool) -> None:
    """Refuse a key from now on, and close the connections it opened. The key stays in the list.

    \b
    Examples:
      artcafe keys revoke planner SHA256:Qk3x
    """
    confirm(f"Revoke the key {plain(key)} of {plain(agent)} for ever, and close its connections?", yes=yes)

    async def find_and_revoke(rest: Rest) -> Json:
        found = _find(await rest.keys(agent), key)
        return await rest.revoke_key(agent, found["id"])

    revoked = ask(connection, find_and_revoke)
    if as_json:
        print_json(revoked)
    else:
        click.echo(f"{plain(revoked['fingerprint'])} is revoked.")


@keys.command()
@click.argument("agent")
@click.argument("key")
@yes_option
@json_option
@signs_in
def remove(connection: Target, agent: str, key: str, *, yes: bool, as_json: bool) -> None:
    """Forget a key: it may be added again, here or to another agent.

    \b
    Examples:
      artcafe keys remove planner SHA256:Qk3x
    """
    confirm(f"Remove the key {plain(key)} of {plain(agent)}, and close its connections?", yes=yes)

    async def find_and_remove(rest: Rest) -> Json:
        found = _find(await rest.keys(agent), key)
        await rest.delete_key(agent, found["id"])
        return found

    removed = ask(connection, find_and_remove)
    print_deleted(
        {"id": removed["id"], "fingerprint": removed["fingerprint"]},
        f"{plain(removed['fingerprint'])} is removed.",
        as_json=as_json,
    )


def _find(found: list[Json], wanted: str) -> Json:
    """The one key that is meant. Raises UsageError when the text does not mean exactly one."""
    digits = wanted.removeprefix(_HASH)
    if not digits:
        raise click.UsageError("give some of the fingerprint")
    meant = [key for key in found if key["fingerprint"].startswith(_HASH + digits) or key["id"] == wanted]
    if not meant:
        raise click.ClickException("the agent has no such key")
    if len(meant) > 1:
        raise click.UsageError(f"{len(meant)} keys begin so; give more of the fingerprint")
    return meant[0]
