"""Subjects at random, and two models of their grammar that share no code with artcafe.wire.subjects."""

import string

from hypothesis import strategies as st

from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, parse_pattern, parse_subject

TENANT = "acme"
FORMS = ["tenant.acme.channel.", "tenant.acme.", "channels.acme.", "agents.acme."]
WORD = string.ascii_letters + string.digits + "_-"
MEANINGFUL = ["agents", "inbox", "sys", "presence", "control", "dlq", "tenant", "channels", "channel"]

tokens = st.sampled_from([*MEANINGFUL, TENANT, "a", "b", "x"]) | st.text(WORD, min_size=1, max_size=6)
texts = st.lists(tokens, min_size=1, max_size=7).map(".".join)
names = st.text(WORD, min_size=1, max_size=63)


@st.composite
def patterns_near(draw: st.DrawFn, subject: str) -> str:
    """A pattern that often receives the subject: wildcards put into it, and sometimes a change."""
    parts = [draw(st.sampled_from([token, token, "*"]) | tokens) for token in subject.split(".")]
    cut = draw(st.integers(0, len(parts)))
    if cut < len(parts) and draw(st.booleans()):
        parts[cut:] = [">"]
    return ".".join(parts)


patterns = texts.flatmap(patterns_near)


def subject_or_none(text: str, tenant: str = TENANT) -> Address | None:
    try:
        return parse_subject(text, tenant)
    except ArtcafeError:
        return None


def pattern_or_none(text: str, tenant: str = TENANT) -> Address | None:
    try:
        return parse_pattern(text, tenant)
    except ArtcafeError:
        return None


# Two models that share no code with the module.


def nats_receives(pattern: str, subject: str) -> bool:
    """Docs.nats.io, "Subject-Based Messaging": `*` is one token, `>` is one or more at the end."""
    wanted, _, more_wanted = pattern.partition(".")
    given_, _, more_given = subject.partition(".")
    if wanted == ">":
        return True
    if wanted not in {"*", given_}:
        return False
    if not more_wanted or not more_given:
        return more_wanted == more_given
    return nats_receives(more_wanted, more_given)


def kind(subject: str) -> str:
    """Shared, direct, inbox or platform: what is received together."""
    first, *rest = subject.split(".")
    if first in {"sys", "presence", "dlq"}:
        return "platform"
    if first == "agents" and len(rest) >= 2 and rest[0] not in {"presence", "control"}:
        return "direct"
    if first == "inbox" and len(rest) >= 2:
        return "inbox"
    return "shared"
