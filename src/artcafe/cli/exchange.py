"""The demo's exchange: one agent asks for a product, the other computes it, both over real connections."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from artcafe.cli.text import compact, plain
from artcafe.client.client import Client
from artcafe.client.message import Message
from artcafe.client.rest import Json
from artcafe.client.subscription import Subscription

ASKER, ANSWERER = "planner", "researcher"
QUESTIONS, ANSWERS = "questions.sums", f"agents.{ASKER}.answers"

_COLOURS = {ASKER: "cyan", ANSWERER: "magenta"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """Both agents, connected and subscribed. `patience` is how many seconds a message may take."""

    asker: Client
    answerer: Client
    questions: Subscription
    answers: Subscription
    patience: float

    async def round(self) -> float:
        """Show one question and its answer, from socket to socket; gives the seconds both took together.

        Raises ClickException when one does not arrive, or not from whom it should.
        """
        factors = [2 + secrets.randbelow(98), 2 + secrets.randbelow(98)]
        question, there = await self._carry(
            self.asker, QUESTIONS, {"multiply": factors}, self.questions, ANSWERER
        )
        left, right = question.data["multiply"]
        reply, back = await self._carry(
            self.answerer, ANSWERS, {"product": left * right}, self.answers, ASKER
        )
        if reply.data != {"product": factors[0] * factors[1]}:
            raise click.ClickException("the answer that arrived is not the one that was sent")
        return there + back

    async def _carry(
        self, sender: Client, subject: str, data: Json, messages: Subscription, receiver: str
    ) -> tuple[Message, float]:
        """Send one message and take it in at the other end.

        It is sent without waiting for the platform's acknowledgement, so that the time is its own.
        """
        name = click.style(f"{sender.agent:<11}", fg=_COLOURS[sender.agent])
        click.echo(f"{name} → {subject:<23} {compact(data)}")
        began = time.perf_counter()
        await sender.publish(subject, data, ack=False)
        message = await self._next(messages)
        seconds = time.perf_counter() - began
        if message.sender != sender.agent:
            raise click.ClickException(
                f"the message is from {plain(message.sender)}, not from {sender.agent}"
            )
        name = click.style(f"{receiver:<11}", fg=_COLOURS[receiver])
        came = f"from {plain(message.sender)}"
        click.echo(f"{name} ← {came:<23} {compact(message.data)}  {seconds * 1000:.1f} ms")
        return message, seconds

    async def _next(self, messages: Subscription) -> Message:
        try:
            async with asyncio.timeout(self.patience):
                return await anext(messages)
        except TimeoutError as error:
            raise click.ClickException(f"no message came within {self.patience:g} seconds") from error
        except StopAsyncIteration as error:
            raise click.ClickException("the connection ended before the message came") from error


@asynccontextmanager
async def exchange(url: str, tenant: str, keys: Path, *, patience: float) -> AsyncIterator[Exchange]:
    """Log both agents in with the keys of their names in this folder, and subscribe them."""
    asker = Client(url, tenant=tenant, agent=ASKER, key=keys / ASKER)
    answerer = Client(url, tenant=tenant, agent=ANSWERER, key=keys / ANSWERER)
    async with (
        asker,
        answerer,
        answerer.subscribe("questions.*") as questions,
        asker.subscribe(f"agents.{ASKER}.>") as answers,
    ):
        yield Exchange(asker, answerer, questions, answers, patience)
