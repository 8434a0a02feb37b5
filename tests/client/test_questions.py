"""What is known of the agents that are asked for, and what was told of them."""

import asyncio
from typing import Any

import pytest

from artcafe.client.questions import AgentView, OpenQuestions
from artcafe.wire.codes import Code
from artcafe.wire.discovery import AgentChange, AgentChanged, Agents, OnlineAgent
from artcafe.wire.errors import ArtcafeError
from tests.kit.outcomes import refused

JOINED, CHANGED, LEFT = AgentChange.joined, AgentChange.changed, AgentChange.left


def an_agent(name: str, **fields: Any) -> OnlineAgent:
    return OnlineAgent(id=name, **fields)


def taken(view: AgentView) -> list[tuple[AgentChange, str]]:
    """Every change that there is now."""
    events = []
    while (event := view.take()) is not None:
        events.append((event.change, event.agent.id))
    return events


class TestAView:
    def test_tells_each_change_once_in_order(self) -> None:
        view = AgentView()
        view.put(an_agent("b"))
        view.put(an_agent("a"))
        assert taken(view) == [(JOINED, "b"), (JOINED, "a")]
        view.put(an_agent("a", status="busy"))
        view.remove("b")
        view.remove("unknown")
        assert taken(view) == [(CHANGED, "a"), (LEFT, "b")]
        assert taken(view) == []
        assert view.agents() == [an_agent("a", status="busy")]

    def test_of_several_changes_of_an_agent_the_last_counts(self) -> None:
        view = AgentView()
        view.put(an_agent("a"))
        view.remove("a")
        assert taken(view) == []
        view.put(an_agent("a"))
        taken(view)
        view.put(an_agent("a", status="busy"))
        view.put(an_agent("a"))
        assert taken(view) == []
        view.remove("a")
        view.put(an_agent("a", status="idle"))
        assert taken(view) == [(CHANGED, "a")]

    def test_who_is_not_in_the_answer_that_is_read_anew_is_gone(self) -> None:
        view = AgentView()
        for name in "abc":
            view.put(an_agent(name))
        taken(view)

        view.begin()
        view.put(an_agent("a"))
        view.put(an_agent("b", status="busy"))
        view.complete()

        assert taken(view) == [(CHANGED, "b"), (LEFT, "c")]

    async def test_a_change_that_came_before_it_is_waited_for_is_not_waited_for(self) -> None:
        view = AgentView()
        view.put(an_agent("a"))
        await view.wait()
        taken(view)
        waiting = asyncio.ensure_future(view.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        view.remove("a")
        await waiting


class TestOpenQuestions:
    async def test_what_comes_goes_to_its_question(self) -> None:
        questions, view = OpenQuestions(), AgentView()
        with questions.expect("1", view) as question:
            questions.take(Agents(id="1", agents=[an_agent("a")], next="a"))
            questions.take(Agents(id="2", agents=[an_agent("z")]))
            questions.take(AgentChanged(id="1", change=JOINED, agent=an_agent("b")))
            questions.take(AgentChanged(id="1", change=LEFT, agent=an_agent("a")))
            questions.take(AgentChanged(id="2", change=JOINED, agent=an_agent("z")))
            assert await question.read() == "a"
        questions.take(Agents(id="1", agents=[an_agent("z")]))
        assert view.agents() == [an_agent("b")]

    @pytest.mark.parametrize("how", ["refused", "named", "lost"])
    async def test_the_end_of_a_question_is_raised(self, how: str) -> None:
        questions = OpenQuestions()
        error = ArtcafeError(Code.forbidden, details={"who": "1"})
        with questions.expect("1", AgentView()) as question:
            assert not questions.refuse("2", error)
            assert not questions.end_named(ArtcafeError(Code.forbidden))
            match how:
                case "refused":
                    assert questions.refuse("1", error)
                case "named":
                    assert questions.end_named(error)
                case _:
                    questions.fail(lambda: error)
            with refused(Code.forbidden):
                await question.read()
            await asyncio.wait_for(question.view.wait(), 10)
        assert not questions.refuse("1", error)
