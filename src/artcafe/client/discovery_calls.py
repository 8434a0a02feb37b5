"""The calls of a client that ask for agents: who, watch_agents."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

from msgspec.structs import replace

from artcafe.client.errors import OutcomeUnknownError
from artcafe.client.link import Link, State
from artcafe.client.questions import AgentEvent, AgentView, Question
from artcafe.client.session import Session
from artcafe.client.transport import ClosedError, Transport
from artcafe.wire.codes import Code
from artcafe.wire.discovery import OnlineAgent, Unfollow, Who
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode

_RETRY_SECONDS = 1.0
"""How long it rests where the server cannot answer now."""

_GIVE_UP_SECONDS = 1.0


class DiscoveryCalls:
    """Questions of one client for the agents of its tenant that are online."""

    _session: Session
    _link: Link
    _timeout: float
    _ready: Callable[[], Awaitable[Transport]]
    _late: Callable[[float, str], ArtcafeError]

    async def who(
        self,
        capability: str | Sequence[str] | None = None,
        *,
        status: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[OnlineAgent]:
        """The agents that are online, by id: with this capability, or all of these, and of this status by
        their own word. Each has its capabilities, since when it is connected, and what it said of itself
        last.

        `timeout` is in seconds, of the client unless given. Raises unavailable, forbidden for who may not
        subscribe to `presence.*`, rate_limited.
        """
        seconds = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                while True:
                    view = AgentView()
                    try:
                        with self._asked(view) as (call, question):
                            asked = Who(id=call, capability=_wanted(capability), status=status)
                            await self._read_all(await self._ready(), asked, question)
                    except (ClosedError, OutcomeUnknownError):
                        continue  # The connection was lost: it is asked again on the next one.
                    return view.agents()
        except TimeoutError:
            raise self._late(seconds, "nobody told who is online") from None

    async def watch_agents(
        self, capability: str | Sequence[str] | None = None, *, status: str | None = None
    ) -> AsyncGenerator[AgentEvent]:
        """Yield an AgentEvent for each agent that `who` gives now (`joined`), then for each change, until the
        loop is left. Nothing is missed in between, and after a reconnect it goes on with what is another by
        then. Of several changes of one agent that were not taken in time, the last counts.

        A loop that is left early stops watching once the generator is closed: at once within
        `contextlib.aclosing`. Raises forbidden, too_many_subscriptions for more than eight at a time, and
        what ended the client.
        """
        view = AgentView()
        while not (self._link.state is State.closed and self._link.error is None):
            connection = await self._ready()
            with self._asked(view) as (call, question):
                try:
                    view.begin()
                    asked = Who(id=call, capability=_wanted(capability), status=status, follow=True)
                    await self._read_all(connection, asked, question)
                    view.complete()
                    while question.error is None:
                        while (event := view.take()) is not None:
                            yield event
                        await view.wait()
                except ClosedError:
                    continue
                except ArtcafeError as error:
                    question.error = error
                finally:
                    if question.error is None:
                        await self._unfollow(connection, call)
                await self._again(question.error)

    @contextlib.contextmanager
    def _asked(self, view: AgentView) -> Iterator[tuple[str, Question]]:
        call = self._session.calls.next_id()
        with self._session.questions.expect(call, view) as question:
            yield call, question

    async def _read_all(self, connection: Transport, asked: Who, question: Question) -> None:
        """Ask for page after page, on one connection. Raises ClosedError."""
        after = await self._read(connection, asked, question)
        while after is not None:
            with self._asked(question.view) as (call, page):
                more = replace(asked, id=call, after=after, follow=False)
                after = await self._read(connection, more, page)

    async def _read(self, connection: Transport, frame: Who, question: Question) -> str | None:
        try:
            await connection.send(encode(frame))
        except ClosedError:
            self._link.drop(connection)
            raise
        return await question.read()

    async def _unfollow(self, connection: Transport, call: str) -> None:
        """Tell the server that nobody watches any more."""
        with contextlib.suppress(ClosedError, TimeoutError):
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                await connection.send(encode(Unfollow(who=call)))

    async def _again(self, error: ArtcafeError) -> None:
        """Return when it is time to ask again. Raises the error where that is useless."""
        if error.code is Code.outcome_unknown:
            return  # The connection was lost.
        if not error.code.retry:
            raise error
        await asyncio.sleep(error.retry_after or _RETRY_SECONDS)


def _wanted(capability: str | Sequence[str] | None) -> str | list[str] | None:
    return capability if capability is None or isinstance(capability, str) else list(capability)
