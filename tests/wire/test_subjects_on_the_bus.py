"""Subjects on the bus: what goes there comes back, and a pattern receives what it should and nothing else."""

import itertools
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from artcafe.wire.subjects import from_bus, matches, parse_subject, pattern_to_bus, to_bus
from tests.kit.subjects import (
    FORMS,
    MEANINGFUL,
    TENANT,
    kind,
    names,
    nats_receives,
    pattern_or_none,
    patterns_near,
    subject_or_none,
    texts,
    tokens,
)


@given(names, names, texts)
def test_what_goes_onto_the_bus_comes_back(tenant: str, sender: str, text: str) -> None:
    address = subject_or_none(text, tenant)
    assume(address is not None)
    assert address is not None
    assert from_bus(to_bus(sender, address.subject)) == (sender, address.subject)


@given(
    st.lists(st.sampled_from(["m", "d", "i", "r", *MEANINGFUL]) | st.text(max_size=3), max_size=6).map(
        ".".join
    )
)
@example("m.a.agents.b.x")
@example("m.a.sys.x")
@example("r.a.tasks")
@example("d.presence.a.x")
@example("d.b.a")
@example('m.a.x","data":1,"y":"')
@example("m.a.x\n")
def test_only_what_this_module_puts_there_is_taken_from_the_bus(text: str) -> None:
    """Whoever else can publish there, later, cannot make a message look like one from the platform,
    nor like a direct one, nor write JSON into the frames that others get."""
    try:
        sender, subject = from_bus(text)
    except ValueError:
        return
    assert to_bus(sender, subject) == text
    assert re.fullmatch(r"[A-Za-z0-9_-]+", sender)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", subject)


@pytest.mark.parametrize(
    "text",
    ["", "m", "m.a", "x.a.b", "d.b.a", "i.b.a", "m..x", "r.a.tasks", "m.a.sys.x", "m.a.agents.b.x", "m.a.é"],
)
def test_what_was_never_put_on_the_bus(text: str) -> None:
    with pytest.raises(ValueError, match="not a subject"):
        from_bus(text)


@given(texts.flatmap(lambda text: st.tuples(patterns_near(text), st.just(text))), names)
@example((">", "a"), "s")
@example(("*.b.x", "agents.b.x"), "s")
@example(("agents.*.x", "agents.presence.x"), "s")
@example(("agents.*", "agents.b"), "s")
@example(("tasks.>", "tasks"), "s")
def test_a_pattern_receives_what_the_model_and_the_bus_say(pair: tuple[str, str], sender: str) -> None:
    pattern, subject = pattern_or_none(pair[0]), subject_or_none(pair[1])
    assume(pattern is not None and subject is not None)
    assert pattern is not None
    assert subject is not None
    received = matches(pattern.subject, subject.subject)
    assert received == nats_receives(pattern_to_bus(pattern.subject), to_bus(sender, subject.subject))
    assert received == (
        kind(pattern.subject) == kind(subject.subject) and nats_receives(pattern.subject, subject.subject)
    )


def reaches(agent: str, text: str, subject: str) -> bool:
    """Whether a pattern that `agent` may subscribe to receives a subject, as the bus decides it."""
    pattern = pattern_or_none(text)
    if pattern is None or pattern.owner not in {None, agent}:
        return False
    return nats_receives(pattern_to_bus(pattern.subject), to_bus("s", parse_subject(subject, TENANT).subject))


@given(st.sampled_from(["agents.b", "inbox.b"]), st.lists(tokens, min_size=1, max_size=4), st.data())
def test_no_pattern_reaches_into_another_agents_own_subjects(
    own: str, rest: list[str], data: st.DataObject
) -> None:
    subject = ".".join([own, *rest])
    prefix = data.draw(st.sampled_from(["", *FORMS]))
    assert not reaches("a", prefix + data.draw(patterns_near(subject)), subject)


def test_no_pattern_at_all_reaches_into_another_agents_own_subjects() -> None:
    """Every pattern up to four tokens, over the words that mean something and both wildcards."""
    words = ["a", "b", "agents", "inbox", "presence", "acme", "tenant", "*", ">"]
    private = [
        "agents.b.x",
        "agents.b.a",
        "agents.b.x.y",
        "inbox.b.t",
        "inbox.b.t.a",
        "agents.acme.agents.b.x",
    ]
    everything = [
        ".".join(parts) for length in range(1, 5) for parts in itertools.product(words, repeat=length)
    ]
    allowed = [
        pattern_to_bus(address.subject)
        for text in everything
        if (address := pattern_or_none(text)) is not None and address.owner in {None, "a"}
    ]
    published = [to_bus("s", parse_subject(text, TENANT).subject) for text in private]
    assert len(allowed) > 1000
    assert not [
        (pattern, subject) for pattern in allowed for subject in published if nats_receives(pattern, subject)
    ]


def test_an_agent_does_reach_its_own() -> None:
    """The two tests above would pass if nothing reached anything."""
    assert reaches("b", "agents.b.>", "agents.b.x")
    assert reaches("b", "agents.acme.agents.b.*", "agents.b.x")
    assert reaches("b", "inbox.b.*", "inbox.b.t")
    assert not reaches("b", "agents.*.x", "agents.b.x")
    assert reaches("a", ">", "agents.b")
