"""`artcafe who`: prints the agents that are online."""

import asyncio
from contextlib import aclosing

import click
import msgspec

from artcafe.cli.agent_login import AgentLoginOptions, logs_in
from artcafe.cli.connection import Target, reaches
from artcafe.cli.text import compact, json_option, plain, print_json
from artcafe.client.client import Client
from artcafe.wire.discovery import OnlineAgent


@click.command()
@click.option("--capability", multiple=True, help="Only agents with it; with all of them, when repeated.")
@click.option("--status", help="Only agents that say this of themselves.")
@click.option("--follow", is_flag=True, help="Go on with who joins, changes and leaves.")
@logs_in
@json_option
@reaches
def who(
    connection: Target,
    login: AgentLoginOptions,
    capability: tuple[str, ...],
    status: str | None,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    """Print the agents that are online, each on a line: since when, its id, what it says of itself, and its
    capabilities.

    \b
    Examples:
      artcafe who -t acme -a planner -k planner.key
      artcafe who --capability draw --status idle -t acme -a planner -k planner.key
      artcafe who --follow --json -t acme -a planner -k planner.key
    """
    client = login.client(connection)
    asyncio.run(_show_all(client, list(capability), status, follow=follow, as_json=as_json))


async def _show_all(
    client: Client, capability: list[str], status: str | None, *, follow: bool, as_json: bool
) -> None:
    async with client:
        if not follow:
            for agent in await client.who(capability, status=status):
                _show(agent, as_json=as_json)
            return
        async with aclosing(client.watch_agents(capability, status=status)) as events:
            async for event in events:
                _show(event.agent, event.change, as_json=as_json)


def _show(agent: OnlineAgent, change: str | None = None, *, as_json: bool) -> None:
    if as_json:
        shown = msgspec.to_builtins(agent)
        print_json(shown if change is None else {"change": change, "agent": shown}, lines=True)
        return
    words = [] if change is None else [f"{change:<7}"]
    words += [agent.since or "-", plain(agent.id), plain(agent.status or "-")]
    words += [plain(", ".join(agent.capabilities))] if agent.capabilities else []
    words += [compact(agent.metadata)] if agent.metadata else []
    click.echo("  ".join(words))
