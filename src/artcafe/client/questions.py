"""Open questions of one client for agents that are online, and what is known of their answers. No I/O."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from artcafe.wire.discovery import AgentChange, AgentChanged, Agents, OnlineAgent
from artcafe.wire.errors import ArtcafeError


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """A change among the agents that are watched. `change` is `joined`, `changed` or `left`; an agent that
    left is as it was."""

    change: AgentChange
    agent: OnlineAgent


class AgentView:
    """The agents that fit a question, as they are now, and as they were told last. Of several changes of an
    agent that were not taken yet the last one counts, so that a slow reader holds an entry of each agent at
    most."""

    def __init__(self) -> None:
        self._now: dict[str, OnlineAgent] = {}
        self._told: dict[str, OnlineAgent] = {}
        # Agents that may be another than they were told to be, in order.
        self._open: dict[str, None] = {}
        # Agents of the answer that is being read anew.
        self._confirmed: set[str] = set()
        self._changed = asyncio.Event()

    def begin(self) -> None:
        """The answer is read anew."""
        self._confirmed.clear()

    def put(self, agent: OnlineAgent) -> None:
        """An agent fits, and is so now."""
        self._now[agent.id] = agent
        self._confirmed.add(agent.id)
        self._touch(agent.id)

    def remove(self, agent: str) -> None:
        """It does not fit any more."""
        if self._now.pop(agent, None) is not None:
            self._touch(agent)

    def complete(self) -> None:
        """The answer was read: whoever was not in it is gone."""
        for agent in self._now.keys() - self._confirmed:
            self.remove(agent)

    def take(self) -> AgentEvent | None:
        """The next change, or None while there is none."""
        while self._open:
            name = next(iter(self._open))
            del self._open[name]
            before, now = self._told.get(name), self._now.get(name)
            if now is not None and now != before:
                self._told[name] = now
                return AgentEvent(AgentChange.joined if before is None else AgentChange.changed, now)
            if now is None and before is not None:
                del self._told[name]
                return AgentEvent(AgentChange.left, before)
        return None

    def agents(self) -> list[OnlineAgent]:
        """Those that fit now, by id."""
        return [self._now[name] for name in sorted(self._now)]

    async def wait(self) -> None:
        """Return when there may be a change."""
        await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """Let who waits look."""
        self._changed.set()

    def _touch(self, agent: str) -> None:
        self._open[agent] = None
        self._changed.set()


class Question:
    """A question on one connection. What is told of it goes into its view at once, in the order in which it
    came; `error` is why it is over."""

    def __init__(self, view: AgentView) -> None:
        self.view = view
        self.error: ArtcafeError | None = None
        self._pages: asyncio.Queue[Agents | None] = asyncio.Queue()

    def page(self, frame: Agents) -> None:
        """A part of the answer came."""
        for agent in frame.agents:
            self.view.put(agent)
        self._pages.put_nowait(frame)

    def changed(self, frame: AgentChanged) -> None:
        """The answer changed."""
        if frame.change is AgentChange.left:
            self.view.remove(frame.agent.id)
        else:
            self.view.put(frame.agent)

    def fail(self, error: ArtcafeError) -> None:
        """It is over."""
        self.error = error
        self._pages.put_nowait(None)
        self.view.wake()

    async def read(self) -> str | None:
        """Wait for the page that was asked for; behind which agent the next one begins. Raises why it is
        over."""
        page = await self._pages.get()
        if page is None:
            assert self.error is not None
            raise self.error
        return page.next


class OpenQuestions:
    """The questions of one client on one connection, by the id of their frame."""

    def __init__(self) -> None:
        self._open: dict[str, Question] = {}

    @contextmanager
    def expect(self, call: str, view: AgentView) -> Iterator[Question]:
        """While this lasts, what is told of the question with this id goes into the view."""
        question = self._open[call] = Question(view)
        try:
            yield question
        finally:
            del self._open[call]

    def take(self, frame: Agents | AgentChanged) -> None:
        """A part of an answer came, or a change of it. One that nobody waits for any more is dropped."""
        question = self._open.get(frame.id)
        if question is None:
            return
        if isinstance(frame, Agents):
            question.page(frame)
        else:
            question.changed(frame)

    def refuse(self, call: str, error: ArtcafeError) -> bool:
        """The server refused or ended a question; False when it was none of these."""
        question = self._open.get(call)
        if question is None:
            return False
        question.fail(error)
        return True

    def end_named(self, error: ArtcafeError) -> bool:
        """The server ended a question that its error names; False when it names none of these."""
        return self.refuse(str((error.details or {}).get("who", "")), error)

    def fail(self, error: Callable[[], ArtcafeError]) -> None:
        """The connection is gone: end all questions, each with an error of its own."""
        for question in self._open.values():
            question.fail(error())
