"""`artcafe agents`: who may connect."""

from pathlib import Path

import click

from artcafe.cli.connection import Connection, signs_in
from artcafe.cli.parameters import JsonText, PublicKeyFile, given
from artcafe.cli.private_file import private_file
from artcafe.cli.session import ask
from artcafe.cli.table import print_record, print_rows
from artcafe.cli.text import json_option, plain, print_json
from artcafe.client.rest import Json

_COLUMNS = {
    "ID": "id",
    "NAME": "name",
    "TYPE": "type",
    "STATUS": "status",
    "KEY": "key_fingerprint",
    "LAST SEEN": "last_seen",
}

_capabilities = click.option(
    "--capability", "capabilities", multiple=True, metavar="WORD", help="What it can do; may be repeated."
)
_metadata = click.option("--metadata", type=JsonText(mapping=True), help="Any JSON object.")


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
@json_option
@signs_in
def list_agents(connection: Connection, status: str | None, *, as_json: bool) -> None:
    """List the agents of a tenant.

    \b
    Examples:
      artcafe agents list
      artcafe agents list --tenant acme --status online --json
    """
    found = ask(connection, lambda rest: rest.agents(status))
    print_rows(
        _COLUMNS, found, as_json=as_json, empty="No agents; make one with `artcafe agents create NAME`."
    )


@agents.command()
@click.argument("name")
@click.option("--id", "agent_id", help="The id: 1 to 63 letters, digits, _ and -. [default: from the name]")
@click.option("--type", "kind", help="What kind of agent it is, in a word of yours.")
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
    help="Where to save the private key that the platform makes: a new file that only you can read.",
)
@_capabilities
@_metadata
@json_option
@signs_in
def create(
    connection: Connection,
    name: str,
    agent_id: str | None,
    kind: str | None,
    public_key: str | None,
    key_out: Path | None,
    capabilities: tuple[str, ...],
    metadata: Json | None,
    *,
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
    """
    if public_key is not None and key_out is not None:
        raise click.UsageError("--key-out is for a key that the platform makes, so it does not go with --key")
    wanted = given(
        {
            "id": agent_id,
            "name": name,
            "type": kind,
            "public_key": public_key,
            "capabilities": list(capabilities) or None,
            "metadata": metadata,
        }
    )
    if key_out is None:
        made = ask(connection, lambda rest: rest.create_agent(**wanted))
    else:
        # The file comes first: a key that could not be saved would be lost.
        with private_file(key_out) as save:
            made = ask(connection, lambda rest: rest.create_agent(**wanted))
            save(str(made.pop("private_key")))
        made["private_key_file"] = str(key_out)
    if as_json:
        print_json(made)
    else:
        _print_made(made)


def _print_made(made: Json) -> None:
    print_record(made["agent"])
    if "private_key_file" in made:
        click.echo(f"\nThe private key is in {made['private_key_file']}.", err=True)
    elif made.get("private_key"):
        click.echo("\nThe private key is shown this once and kept nowhere; save it:\n", err=True)
        click.echo(made["private_key"].rstrip("\n"))


@agents.command()
@click.argument("agent")
@json_option
@signs_in
def show(connection: Connection, agent: str, *, as_json: bool) -> None:
    """Show one agent.

    \b
    Examples:
      artcafe agents show planner
    """
    print_record(ask(connection, lambda rest: rest.agent(agent)), as_json=as_json)


@agents.command()
@click.argument("agent")
@click.option("--name")
@click.option("--type", "kind", help="What kind of agent it is, in a word of yours.")
@click.option(
    "--enable/--disable", "enabled", default=None, help="Whether it may connect; disabling disconnects it."
)
@_capabilities
@_metadata
@json_option
@signs_in
def update(
    connection: Connection,
    agent: str,
    name: str | None,
    kind: str | None,
    enabled: bool | None,
    capabilities: tuple[str, ...],
    metadata: Json | None,
    *,
    as_json: bool,
) -> None:
    """Change what is named and leave the rest. Capabilities and metadata are replaced as a whole.

    \b
    Examples:
      artcafe agents update planner --name "Trip planner"
      artcafe agents update planner --capability travel --capability maps
      artcafe agents update planner --disable
    """
    changes = given(
        {
            "name": name,
            "type": kind,
            "enabled": enabled,
            "capabilities": list(capabilities) or None,
            "metadata": metadata,
        }
    )
    if not changes:
        raise click.UsageError("nothing to change: name a field, such as --name")
    print_record(ask(connection, lambda rest: rest.change_agent(agent, **changes)), as_json=as_json)


@agents.command()
@click.argument("agent")
@json_option
@signs_in
def delete(connection: Connection, agent: str, *, as_json: bool) -> None:
    """Delete an agent with its keys; its connections are closed.

    \b
    Examples:
      artcafe agents delete planner
    """
    ask(connection, lambda rest: rest.delete_agent(agent))
    if as_json:
        print_json({"id": agent, "deleted": True})
    else:
        click.echo(f"The agent {plain(agent)} is gone.")
