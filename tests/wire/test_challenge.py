"""The text an agent signs: one spelling, no injection, and a client that looks before it signs."""

import string
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.wire.challenge import (
    ANY_CONNECTION,
    NAMESPACE,
    VERSION,
    Challenge,
    check_before_signing,
    is_ours,
)

WORD = string.ascii_letters + string.digits + "_-"
PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))

CHALLENGE = Challenge(
    server="wss://pubsub.example.com",
    tenant="acme",
    agent="planner",
    connection="c-1",
    nonce="n" * 43,
    expires=1_795_400_000,
)

challenges = st.builds(
    Challenge,
    server=st.text(PRINTABLE, min_size=1, max_size=255),
    tenant=st.text(WORD, min_size=1, max_size=64),
    agent=st.text(WORD, min_size=1, max_size=64),
    connection=st.text(WORD, min_size=1, max_size=64),
    nonce=st.text(WORD, min_size=43, max_size=43),
    expires=st.integers(1, 999_999_999_999),
)


def changed(field: str, value: object) -> Challenge:
    fields: dict[str, Any] = asdict(CHALLENGE) | {field: value}
    return Challenge(**fields)


TEXT_FIELDS = ["server", "tenant", "agent", "connection", "nonce"]


def test_the_exact_bytes() -> None:
    assert CHALLENGE.text() == (
        "artcafe-agent-auth/1\n"
        "server=wss://pubsub.example.com\n"
        "tenant=acme\n"
        "agent=planner\n"
        "connection=c-1\n"
        "nonce=nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\n"
        "expires=1795400000\n"
    )
    assert NAMESPACE == "agent-auth.v1@artcafe"
    assert VERSION == "artcafe-agent-auth/1"


@given(challenges)
def test_a_challenge_is_read_back_as_it_was_written(challenge: Challenge) -> None:
    text = challenge.text()
    assert Challenge.parse(text) == challenge
    assert is_ours(text)
    assert text.count("\n") == 7


def test_a_challenge_for_any_connection() -> None:
    challenge = replace(CHALLENGE, connection=ANY_CONNECTION)
    assert Challenge.parse(challenge.text()) == challenge


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize("bad", ["\n", "\r", "\r\n", "\0", "\t", " ", "\u2028", "\x85", "é"])
def test_no_value_can_write_a_line_of_its_own(field: str, bad: str) -> None:
    value = getattr(CHALLENGE, field)
    for text in (value[:-1] + bad, bad + value[1:], value[: len(value) // 2] + bad + "tenant=other"):
        with pytest.raises(ValueError, match="not allowed"):
            changed(field, text).text()


@given(st.sampled_from(TEXT_FIELDS), st.text(max_size=60))
def test_whatever_becomes_a_text_means_what_it_was_made_of(field: str, value: str) -> None:
    challenge = changed(field, value)
    try:
        text = challenge.text()
    except ValueError:
        return
    assert Challenge.parse(text) == challenge


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("server", ""),
        ("server", "s" * 256),
        ("tenant", "a/b"),
        ("agent", "a" * 65),
        ("agent", "a.b"),
        ("nonce", "n" * 42),
        ("nonce", "n" * 44),
        ("expires", 0),
        ("expires", -1),
        ("expires", 1_000_000_000_000),
    ],
)
def test_values_out_of_their_bounds_are_refused(field: str, value: str | int) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        changed(field, value).text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        CHALLENGE.text()[:-1],
        CHALLENGE.text() + "\n",
        CHALLENGE.text() + "more=1\n",
        "\n" + CHALLENGE.text(),
        CHALLENGE.text().replace("\n", "\r\n"),
        CHALLENGE.text().replace("/1\n", "/2\n"),
        CHALLENGE.text().replace("agent=planner\n", ""),
        CHALLENGE.text().replace("agent=planner\n", "agent=planner\nagent=other\n"),
        CHALLENGE.text().replace("tenant=acme\nagent=planner\n", "agent=planner\ntenant=acme\n"),
        CHALLENGE.text().replace("expires=1795400000", "expires=01795400000"),
        CHALLENGE.text().replace("expires=1795400000", "expires=+1795400000"),
        CHALLENGE.text().replace("expires=1795400000", "expires=١٧٩"),
        CHALLENGE.text().replace("expires=1795400000", "expires=1795400000 "),
    ],
)
def test_anything_else_is_no_challenge(text: str) -> None:
    assert Challenge.parse(text) is None


def test_what_claims_to_be_ours_is_ours_well_formed_or_not() -> None:
    """A challenge that a client chose itself must not claim to be one of the server's."""
    assert is_ours(VERSION + "\n")
    assert is_ours(VERSION + "\nserver=x")
    assert not is_ours(VERSION)
    assert not is_ours("5f1c")
    assert not is_ours("artcafe-agent-auth/2\n")


def check(text: str) -> Challenge:
    return check_before_signing(text, server="wss://pubsub.example.com", tenant="acme", agent="planner")


def test_a_client_signs_what_it_meant_to_join() -> None:
    assert check(CHALLENGE.text()) == CHALLENGE


@pytest.mark.parametrize(
    "challenge",
    [
        replace(CHALLENGE, server="wss://pubsub.example.com.evil.example"),
        replace(CHALLENGE, server="ws://pubsub.example.com"),
        replace(CHALLENGE, tenant="other"),
        replace(CHALLENGE, agent="other"),
        replace(CHALLENGE, tenant="planner", agent="acme"),
        replace(CHALLENGE, tenant="Acme"),
    ],
)
def test_a_challenge_for_elsewhere_is_not_signed(challenge: Challenge) -> None:
    """A server that relays another server's challenge gets no signature for it."""
    with pytest.raises(ValueError, match="nothing was signed"):
        check(challenge.text())


@pytest.mark.parametrize("text", ["", "deadbeef", CHALLENGE.text() + "\n", "tree 4b825dc6\nauthor me"])
def test_what_is_no_challenge_is_not_signed(text: str) -> None:
    """Nor is a git commit, a file, or anything else that a server would like to have signed."""
    with pytest.raises(ValueError, match="not an ArtCafe agent login"):
        check(text)
