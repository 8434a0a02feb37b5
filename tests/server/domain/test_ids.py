"""Identifiers: one alphabet, nothing that means something on the bus, and no human taken for an agent."""

import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from artcafe.server.domain.ids import (
    HUMAN_PREFIX,
    PLATFORM_SENDER,
    UserId,
    agent_id,
    human_sender,
    is_user_id,
    slug,
    tenant_id,
)
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import from_bus, to_bus

ALNUM = string.ascii_letters + string.digits
WORD = ALNUM + "_-"

identifiers = st.builds(str.__add__, st.sampled_from(ALNUM), st.text(WORD, max_size=62))
users = st.text(WORD, min_size=1, max_size=64) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80
)

EITHER = pytest.mark.parametrize("parse", [tenant_id, agent_id], ids=lambda parse: parse.__name__)


@EITHER
@pytest.mark.parametrize("text", ["a", "A1", "0", "a_b-c", "a" * 63, "9" + "-" * 62, "planner"])
def test_an_identifier(parse: object, text: str) -> None:
    assert callable(parse)
    assert parse(text) == text


@EITHER
@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 64,
        "-a",
        "_a",
        "a.b",
        "a b",
        "a\n",
        "\na",
        "a*",
        ">",
        "a/b",
        "é",
        "\u0661",
        "a\0",
        "..",
        "%61",
    ],
)
def test_what_is_no_identifier(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(ArtcafeError) as refused:
        parse(text)
    assert refused.value.code is Code.validation_failed
    assert text not in refused.value.message or len(text) < 2


@pytest.mark.parametrize("text", ["sys", "presence", "control", "u-", "u-ada", "u-a1"])
def test_an_agent_has_no_name_that_means_something_on_the_bus(text: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        agent_id(text)
    assert refused.value.code is Code.validation_failed
    assert tenant_id(text) == text


@given(identifiers)
@example("usys")
@example("u_ada")
def test_an_agent_is_its_own_sender(text: str) -> None:
    assume(text not in {"sys", "presence", "control"} and not text.startswith("u-"))
    agent = agent_id(text)
    assert from_bus(to_bus(agent, "tasks.new")) == (text, "tasks.new")


@given(users)
@example("auth0|5f7c8ec7c33c6c004bbafe82")
@example("ada@example.com")
@example("a.b")
def test_a_humans_sender_is_one_token_that_no_agent_and_not_the_platform_has(user: str) -> None:
    sender = human_sender(UserId(user))
    assert sender.startswith(HUMAN_PREFIX)
    assert sender != PLATFORM_SENDER
    assert from_bus(to_bus(sender, "tasks.new")) == (sender, "tasks.new")
    with pytest.raises(ArtcafeError):
        agent_id(sender)


@given(users, users)
def test_two_humans_never_share_a_sender(one: str, other: str) -> None:
    assert (human_sender(UserId(one)) == human_sender(UserId(other))) == (one == other)


def test_a_sender_that_was_hashed_cannot_be_taken_by_a_name() -> None:
    """Somebody whose subject claim spells another human's hash does not become that human."""
    hashed = human_sender(UserId("ada@example.com"))
    assert human_sender(UserId(hashed.removeprefix(HUMAN_PREFIX))) != hashed


def test_senders_never_change() -> None:
    """They stand in stored messages."""
    assert human_sender(UserId("7c9e6679-7425-40de-944b-e07fc1f90ae7")) == (
        "u-7c9e6679-7425-40de-944b-e07fc1f90ae7"
    )
    assert human_sender(UserId("ada@example.com")) == "u--wx6ilzkxkx46bubquefliqu3nm"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Trip Planner!", "trip-planner"),
        ("  a  b  ", "a-b"),
        ("snake_case", "snake_case"),
        ("__init__", "init"),
        ("Über-Agent", "ber-agent"),
        ("日本", ""),
        ("", ""),
        ("-_-", ""),
        ("a" * 47 + " b", "a" * 47),
    ],
)
def test_an_identifier_like_a_name(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.text(max_size=80))
def test_a_slug_is_an_identifier_or_nothing(name: str) -> None:
    made = slug(name)
    assert made == "" or tenant_id(made) == made
    assert slug(made) == made


@pytest.mark.parametrize(
    "user", ["a", "repo:org/app:ref:refs/heads/main", "...", ".a", "..a", " ", "%", "/", "x" * 255]
)
def test_a_human_has_any_name_of_printable_ascii(user: str) -> None:
    assert is_user_id(user)


@pytest.mark.parametrize("user", ["", ".", "..", "a\n", "\u00e4", "a\x7f", "\x00", "x" * 256])
def test_but_none_that_no_path_could_name(user: str) -> None:
    assert not is_user_id(user)
