"""`artcafe demo`: creates a tenant, two agents and keys, and runs an exchange between them."""

import asyncio
import dataclasses
import secrets
import shutil
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from artcafe.cli.connection import Target, running, signs_in
from artcafe.cli.exchange import ANSWERER, ASKER, QUESTIONS, exchange
from artcafe.cli.key_pair import make_key_pair
from artcafe.cli.session import signed_in
from artcafe.cli.temporary import temporary_platform
from artcafe.cli.text import plain
from artcafe.client.rest import Rest
from artcafe.wire.errors import ArtcafeError


@click.command()
@click.option("--rounds", type=click.IntRange(2, 100), default=3, show_default=True, help="Questions to ask.")
@click.option(
    "--timeout",
    "patience",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds that a message may take.",
)
@click.option("--keep", is_flag=True, help="Keep the tenant and the agents' keys for you to go on with.")
@signs_in
def demo(connection: Target, rounds: int, patience: float, *, keep: bool) -> None:
    """Show two agents talking: a fresh tenant, fresh SSH keys, questions and answers, live.

    It uses the platform that runs here; when none does, it starts one for the length of the demo.
    Exit code 0 means that every question was answered.

    \b
    Examples:
      artcafe demo
      artcafe demo --rounds 10
      artcafe demo --keep
    """
    connection = dataclasses.replace(connection, tenant=None)
    folder = Path(tempfile.mkdtemp(prefix="artcafe-demo-"))
    try:
        with ExitStack() as stack:
            temporary = not asyncio.run(_is_there(connection))
            if temporary:
                _say("platform", "starting one for this demo …")
                data_dir = folder / "data"
                url = stack.enter_context(temporary_platform(data_dir))
                connection = Target(url=url, chosen=False, data_dir=data_dir, tenant=None)
            _say("platform", connection.url)
            tenant = asyncio.run(_show(connection, folder, rounds, patience, keep=keep))
        _suggest(connection, tenant if keep else None, folder, temporary=temporary)
    finally:
        if not keep:
            shutil.rmtree(folder)


async def _is_there(connection: Target) -> bool:
    """Tell whether the platform of this data directory runs; other programs on its port are not contacted.

    Raises ClickException when a platform was named and does not run.
    """
    if not connection.chosen and running(connection.data_dir) is None:
        return False
    async with Rest(connection.url) as rest:
        there = await rest.answers()
    if connection.chosen and not there:
        raise connection.nothing_answers()
    return there


async def _show(connection: Target, folder: Path, rounds: int, patience: float, *, keep: bool) -> str:
    """Everything between a running platform and the last answer; gives the tenant's id."""
    tenant = f"demo-{secrets.token_hex(4)}"
    async with signed_in(connection) as rest:
        await rest.create_tenant(id=tenant, name="Demo", description="Made by artcafe demo.")
    try:
        _say("tenant", tenant)
        async with signed_in(connection, tenant=tenant) as rest:
            for agent in (ASKER, ANSWERER):
                public_key = make_key_pair(folder / agent)
                made = await rest.create_agent(id=agent, name=agent.title(), public_key=public_key)
                _say("agent", f"{agent}, {plain(made['agent']['key_fingerprint'])}")
        async with exchange(connection.url, tenant, folder, patience=patience) as agents:
            _say("login", "each agent signed the platform's challenge with its key\n")
            times = [await agents.round() for _ in range(rounds)]
    finally:
        if not keep:
            await _clean(connection, tenant)
    middle = statistics.median(times) * 1000
    click.echo(f"\n{rounds} questions, {rounds} right answers; there and back in {middle:.1f} ms (median).")
    return tenant


async def _clean(connection: Target, tenant: str) -> None:
    """Delete the demo's tenant. A failure is told, and leaves what went before as it is."""
    try:
        async with signed_in(connection, tenant=tenant) as rest:
            await rest.delete_tenant(tenant)
    except (ArtcafeError, click.ClickException) as error:
        click.echo(f"The tenant {tenant} is still there: {plain(error.message)}", err=True)


def _say(title: str, text: str) -> None:
    click.echo(f"{click.style(f'{title:<11}', dim=True)} {text}")


def _suggest(connection: Target, tenant: str | None, folder: Path, *, temporary: bool) -> None:
    """Say what to try next, in commands that work as they stand."""
    click.echo("\nTry next:")
    if tenant is None:
        click.echo("  artcafe up                        a platform that stays")
        click.echo("  artcafe demo --keep               the same, and the two agents are yours")
        click.echo("  artcafe tenants create --help     or begin with a tenant of your own")
        return
    place = f" --url {connection.url}"
    if temporary:
        place = f" --data-dir {connection.data_dir}"
        click.echo(f"  artcafe up --port 0{place}")
    message = """'{"multiply": [6, 7]}'"""
    click.echo(f"  artcafe sub 'questions.*' -t {tenant} -a {ANSWERER} -k {folder / ANSWERER}{place}")
    click.echo(f"  artcafe pub {QUESTIONS} {message} -t {tenant} -a {ASKER} -k {folder / ASKER}{place}")
