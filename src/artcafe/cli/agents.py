"""`artcafe agents`: create, list, show, update and delete agents."""

from pathlib import Path
from typing import Any

import click

from artcafe.cli.agent_fields import CLEARABLE, AgentFields, sets_fields
from artcafe.cli.confirm import confirm, yes_option
from artcafe.cli.connection import Target, signs_in
from artcafe.cli.lists import order_option, search_option
from artcafe.cli.parameters import PublicKeyFile, given
from artcafe.cli.private_file import new_file, private_file
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_deleted, print_json
from artcafe.client.rest import Json, Rest

_COLUMNS = {
    "ID": "id",
    "NAME": "name",
    "TYPE": "type",
    "STATUS": "status",
    "KEY": "key_fingerprint",
    "LAST SEEN": "last_seen",
}


@click.group()
def agents() -> None:
    """Agents: each connects with its own SSH key, inside its tenant.

    \b
    Examples:
      artcafe agents create planner --key ~/.ssh/planner.pub
      artcafe agents list
    """


@agents.command("list")
@click.option("--status", type=click.Choice(["online", "offline"]), help="Only those.")
@click.option("--type", "type", metavar="WORD", help="Only of this type.")
@click.option("--capability", metavar="WORD", help="Only with this capability.")
@click.option("--tag", metavar="WORD", help="Only with this tag.")
@click.option("--enabled/--disabled", default=None, help="Only those that may, or may not, connect.")
@search_option
@order_option
@json_option
@signs_in
def list_agents(connection: Target, /, *, as_json: bool, **wanted: Any) -> None:
    """List the agents of a tenant; everything that is named has to fit.

    \b
    Examples:
      artcafe agents list
      artcafe agents list --tenant acme --status online --json
      artcafe agents list --capability travel --tag eu --order -created_at
    """
    found = ask(connection, lambda rest: rest.agents(**wanted))
    empty = "No agents; make one with `artcafe agents create NAME`."
    if given(wanted):
        empty = "No such agents."
    print_rows(_COLUMNS, found, as_json=as_json, empty=empty)


@agents.command()
@click.argument("name")
@click.option("--id", "agent_id", help="The id: 1 to 63 letters, digits, _ and -. [default: from the name]")
@click.option(
    "--key",
    "public_key",
    type=PublicKeyFile(),
    metavar="FILE.pub",
    help="Its public key. Without one the platform makes a key pair and hands out the private half, once.",
)
@click.option(
    "--key-out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to save the key that the platform makes: a new file that only you can read, and FILE.pub.",
)
@click.option(
    "--key-type",
    type=click.Choice(["ed25519", "rsa"]),
    help="What key the platform makes: ed25519 as OpenSSH has it, or rsa as PEM.  [default: ed25519]",
)
@sets_fields
@json_option
@signs_in
def create(
    connection: Target,
    name: str,
    agent_id: str | None,
    public_key: str | None,
    key_out: Path | None,
    key_type: str | None,
    *,
    wanted: AgentFields,
    as_json: bool,
) -> None:
    """Make an agent.

    Best with a key that you made yourself (ssh-keygen -t ed25519): then the private half never
    travels.

    \b
    Examples:
      artcafe agents create planner --key ~/.ssh/planner.pub
      artcafe agents create "Trip planner" --id planner --capability travel
      artcafe agents create planner --key-out planner.key
      artcafe agents create planner --tag eu --allow-publish 'results.>' --allow-subscribe 'tasks.*'
    """
    if public_key is not None and key_out is not None:
        raise click.UsageError("--key-out is for a key that the platform makes, so it does not go with --key")
    if public_key is not None and key_type is not None:
        raise click.UsageError(
            "--key-type is for a key that the platform makes, so it does not go with --key"
        )
    body = given({"id": agent_id, "name": name, "public_key": public_key}) | wanted.body({})
    if public_key is None:
        body["key_type"] = key_type or "ed25519"
    if key_out is None:
        made = ask(connection, lambda rest: rest.create_agent(**body))
    else:
        # The files come first: a key that could not be saved would be lost.
        public_out = key_out.with_name(f"{key_out.name}.pub")
        with new_file(public_out) as save_public, private_file(key_out) as save:
            made = ask(connection, lambda rest: rest.create_agent(**body))
            save(str(made.pop("private_key")))
            save_public(f"{made['agent']['public_key']} {key_out.name}\n")
        made["private_key_file"] = str(key_out)
    if as_json:
        print_json(made)
    else:
        _print_made(made)


def _print_made(made: Json) -> None:
    print_record(made["agent"])
    if "private_key_file" in made:
        path = made["private_key_file"]
        click.echo(f"\nThe private key is in {path}, the public one in {path}.pub.", err=True)
    elif made.get("private_key"):
        click.echo("\nThe private key is shown this once and kept nowhere; save it:\n", err=True)
        click.echo(made["private_key"].rstrip("\n"))


@agents.command()
@click.argument("agent")
@json_option
@signs_in
def show(connection: Target, agent: str, *, as_json: bool) -> None:
    """Show one agent.

    \b
    Examples:
      artcafe agents show planner
    """
    print_record(ask(connection, lambda rest: rest.agent(agent)), as_json=as_json)


@agents.command()
@click.argument("agent")
@click.option("--name")
@click.option(
    "--enable/--disable", "enabled", default=None, help="Whether it may connect; disabling disconnects it."
)
@sets_fields
@click.option(
    "--clear", multiple=True, type=click.Choice(CLEARABLE), help="Empty this field; may be repeated."
)
@click.option("--no-policy", is_flag=True, help="Let it publish and subscribe as if it had no policy.")
@json_option
@signs_in
def update(
    connection: Target,
    agent: str,
    name: str | None,
    enabled: bool | None,
    clear: tuple[str, ...],
    *,
    wanted: AgentFields,
    no_policy: bool,
    as_json: bool,
) -> None:
    """Change what is named and leave the rest. Each list that is given is replaced as a whole.

    \b
    Examples:
      artcafe agents update planner --name "Trip planner"
      artcafe agents update planner --capability travel --capability maps
      artcafe agents update planner --deny-subscribe 'secret.>'
      artcafe agents update planner --clear tags --no-policy
      artcafe agents update planner --disable
    """
    wanted = wanted.cleared(clear, policy=no_policy)
    plain_ones = given({"name": name, "enabled": enabled})
    if not plain_ones and not wanted.body({}):
        raise click.UsageError("nothing to change: name a field, such as --name")

    async def change(rest: Rest) -> Json:
        if not wanted.partial:
            return await rest.change_agent(agent, **plain_ones, **wanted.body({}))
        known = await rest.agent(agent)
        # Only on what was read: a rule that somebody else set meanwhile must not be lost.
        return await rest.change_agent(agent, if_match=known.get("etag"), **plain_ones, **wanted.body(known))

    print_record(ask(connection, change), as_json=as_json)


@agents.command()
@click.argument("agent")
@yes_option
@json_option
@signs_in
def delete(connection: Target, agent: str, *, yes: bool, as_json: bool) -> None:
    """Delete an agent with its keys; its connections are closed.

    \b
    Examples:
      artcafe agents delete planner
    """
    confirm(f"Delete the agent {plain(agent)} with its keys, for ever?", yes=yes)
    ask(connection, lambda rest: rest.delete_agent(agent))
    print_deleted({"id": agent}, f"The agent {plain(agent)} is gone.", as_json=as_json)
