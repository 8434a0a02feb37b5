"""`artcafe demo`: from nothing to two agents that talk."""

import asyncio
import dataclasses
import secrets
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from artcafe.cli.connection import Connection, running, signs_in
from artcafe.cli.key_pair import make_key_pair
from artcafe.cli.session import signed_in
from artcafe.cli.temporary import temporary_platform
from artcafe.cli.text import compact, plain
from artcafe.client.client import Client
from artcafe.client.message import Message
from artcafe.client.rest import Json, Rest
from artcafe.client.subscription import Subscription
from artcafe.wire.errors import ArtcafeError

ASKER, ANSWERER = "planner", "researcher"
QUESTIONS, ANSWERS = "questions.sums", f"agents.{ASKER}.answers"
PATIENCE_SECONDS = 10.0

_COLOURS = {ASKER: "cyan", ANSWERER: "magenta"}


@click.command()
@click.option("--rounds", type=click.IntRange(2, 100), default=3, show_default=True, help="Questions to ask.")
@click.option("--keep", is_flag=True, help="Keep the tenant and the agents' keys for you to go on with.")
@signs_in
def demo(connection: Connection, rounds: int, *, keep: bool) -> None:
    """Show two agents talking: a fresh tenant, fresh SSH keys, questions and answers, live.

    It uses the platform that runs here; when none does, it starts one for the length of the demo.
    Exit code 0 means that every question was answered.

    \b
    Examples:
      artcafe demo
      artcafe demo --rounds 10
      artcafe demo --keep
    """
    folder = Path(tempfile.mkdtemp(prefix="artcafe-demo-"))
    try:
        with ExitStack() as stack:
            connection = dataclasses.replace(connection, tenant=None)
            there = asyncio.run(_is_there(connection))
            if connection.chosen and not there:
                raise connection.nothing_answers()
            temporary = not there
            if temporary:
                _line("platform", "starting one for this demo …")
                data_dir = folder / "data"
                url = stack.enter_context(temporary_platform(data_dir))
                connection = Connection(url=url, chosen=False, data_dir=data_dir, tenant=None)
            _line("platform", connection.url)
            tenant = asyncio.run(_show(connection, folder, rounds, keep=keep))
        _suggest(connection, tenant if keep else None, folder, temporary=temporary)
    finally:
        if not keep:
            shutil.rmtree(folder)


async def _is_there(connection: Connection) -> bool:
    """Tell whether the platform that was meant runs: the one named, or the one of this data directory.

    Whatever else may listen at the usual address is not ours to try.
    """
    if not connection.chosen and running(connection.data_dir) is None:
        return False
    async with Rest(connection.url) as rest:
        return await rest.answers()


async def _show(connection: Connection, folder: Path, rounds: int, *, keep: bool) -> str:
    """Everything between an empty platform and the last answer; gives the tenant's id."""
    tenant = f"demo-{secrets.token_hex(4)}"
    async with signed_in(connection) as rest:
        await rest.create_tenant(id=tenant, name=f"Demo {tenant[-8:]}", description="Made by artcafe demo.")
    try:
        _line("tenant", tenant)
        async with signed_in(connection, tenant=tenant) as rest:
            for agent in (ASKER, ANSWERER):
                public_key = make_key_pair(folder / agent)
                made = await rest.create_agent(id=agent, name=agent.title(), public_key=public_key)
                _line("agent", f"{agent}, {made['agent']['key_fingerprint']}")
        await _talk(connection.url, tenant, folder, rounds)
    finally:
        if not keep:
            await _clean(connection, tenant)
    return tenant


async def _talk(url: str, tenant: str, folder: Path, rounds: int) -> None:
    asker = Client(url, tenant=tenant, agent=ASKER, key=folder / ASKER)
    answerer = Client(url, tenant=tenant, agent=ANSWERER, key=folder / ANSWERER)
    async with (
        asker,
        answerer,
        asker.subscribe(f"agents.{ASKER}.>") as answers,
        answerer.subscribe("questions.*") as questions,
    ):
        _line("login", "both agents signed the server's challenge with their keys\n")
        times = [await _round(asker, answerer, questions, answers) for _ in range(rounds)]
    middle = statistics.median(times) * 1000
    click.echo(f"\n{rounds} questions, {rounds} right answers; there and back in {middle:.1f} ms (median).")


async def _round(asker: Client, answerer: Client, questions: Subscription, answers: Subscription) -> float:
    """One question and its answer, each from one socket to another; gives the seconds there and back.

    Both are sent without waiting for the platform's acknowledgement, so that the time is the
    message's own.
    """
    factors = [2 + secrets.randbelow(98), 2 + secrets.randbelow(98)]
    _said(ASKER, QUESTIONS, {"multiply": factors})
    asked = time.perf_counter()
    await asker.publish(QUESTIONS, {"multiply": factors}, ack=False)
    question = await _next(questions, ASKER)
    _heard(ANSWERER, question, f"{(time.perf_counter() - asked) * 1000:.1f} ms")

    left, right = question.data["multiply"]
    answer = {"product": left * right}
    _said(ANSWERER, ANSWERS, answer)
    answered = time.perf_counter()
    await answerer.publish(ANSWERS, answer, ack=False)
    reply = await _next(answers, ANSWERER)
    arrived = time.perf_counter()
    _heard(ASKER, reply, f"{(arrived - answered) * 1000:.1f} ms")
    if reply.data != {"product": factors[0] * factors[1]}:
        raise click.ClickException("the answer that arrived is not the one that was sent")
    return arrived - asked


async def _next(messages: Subscription, sender: str) -> Message:
    """The next message, which must come in time and, proven, from this sender."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await anext(messages)
    except TimeoutError as error:
        raise click.ClickException(f"no message came within {PATIENCE_SECONDS:g} seconds") from error
    except StopAsyncIteration as error:
        raise click.ClickException("the connection ended before the message came") from error
    if message.sender != sender:
        raise click.ClickException(f"the message is from {plain(message.sender)}, not from {sender}")
    return message


async def _clean(connection: Connection, tenant: str) -> None:
    """Delete the demo's tenant. A failure is told, and leaves what went before as it is."""
    try:
        async with signed_in(connection, tenant=tenant) as rest:
            await rest.delete_tenant(tenant)
    except (ArtcafeError, click.ClickException) as error:
        click.echo(f"The tenant {tenant} is still there: {plain(error.message)}", err=True)


def _line(title: str, text: str) -> None:
    click.echo(f"{click.style(f'{title:<11}', dim=True)} {text}")


def _said(agent: str, subject: str, data: Json) -> None:
    click.echo(f"{click.style(f'{agent:<11}', fg=_COLOURS[agent])} → {subject:<23} {compact(data)}")


def _heard(agent: str, message: Message, took: str) -> None:
    name = click.style(f"{agent:<11}", fg=_COLOURS[agent])
    click.echo(f"{name} ← {f'from {plain(message.sender)}':<23} {compact(message.data)}  {took}")


def _suggest(connection: Connection, tenant: str | None, folder: Path, *, temporary: bool) -> None:
    """Say what to try next, in commands that work as they stand."""
    click.echo("\nTry next:")
    if tenant is None:
        click.echo("  artcafe up                        a platform that stays")
        click.echo("  artcafe demo --keep               the same, and the two agents are yours")
        click.echo("  artcafe tenants create --help     or begin with a tenant of your own")
        return
    place = f" --data-dir {connection.data_dir}" if temporary else f" --url {connection.url}"
    if temporary:
        click.echo(f"  artcafe up{place}")
    click.echo(f"  artcafe sub 'questions.*' -t {tenant} -a {ANSWERER} -k {folder / ANSWERER}{place}")
    message = """'{"multiply": [6, 7]}'"""
    click.echo(f"  artcafe pub {QUESTIONS} {message} -t {tenant} -a {ASKER} -k {folder / ASKER}{place}")
