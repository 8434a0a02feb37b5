"""Subjects: the grammar, the forms clients use, and the encoding on the bus. The only module that spells
them.

A subject is 1-16 tokens joined by dots, 255 bytes at most, each token `[A-Za-z0-9_-]+`. In a
pattern `*` stands for one token and `>`, last, for one or more.

On the bus, inside the tenant's account, a subject lives in one of four spaces, told apart by the
first letter, and carries the proven sender:

    m.{sender}.{subject}                 shared subjects
    d.{agent}.{sender}.{rest}            agents.{agent}.{rest}    direct messages to one agent
    i.{agent}.{sender}.{rest}            inbox.{agent}.{rest}     replies to one agent
    r.{sender}.{subject}                 sys, presence, dlq       written by the platform alone

The reply address of a request, `inbox._{process}.{request}`, is in none of them. It is below the inbox of one
server process, to which nobody else may subscribe: `_INBOX.{process}.{request}.{sender}`.

What waits in an inbox is stored as `q.{owner}.{priority}`, and the processes are told of it on `w.{owner}.…`.

What is to be stored is published in a space of its own, `p.{sender}.{subject}`: the stream of a durable
channel takes it from there, and tells it to everybody as `m.{sender}.{subject}` once it is stored. Nobody
subscribes to that space.

So a pattern that begins with a wildcard reaches shared subjects only, by construction: the same
rule as MQTT 5 section 4.7.2 has for topics that begin with `$`. Nothing that passes this module
can hold a space, CR or LF, so nothing here can inject into the NATS protocol.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MAX_BYTES = 255
MAX_TOKENS = 16

SHARED, DIRECT, INBOX, RESERVED = "m", "d", "i", "r"
STORED = "p"
"""The space of what is to be stored."""
QUEUED = "q"
"""The space of what waits in inboxes, `q.{owner}.{priority}`: stored, and delivered to nobody."""
NOTICES = "w"
"""The space of what processes tell each other of inboxes."""
DEAD = "x"
"""The space of dead letters, `x.{stream}.{durable subscription}`: stored, and delivered to nobody."""

_TOKEN = r"[A-Za-z0-9_-]+"
_SUBJECT = re.compile(rf"{_TOKEN}(?:\.{_TOKEN})*")
_PATTERN = re.compile(rf"(?:>|(?:{_TOKEN}|\*)(?:\.(?:{_TOKEN}|\*))*(?:\.>)?)")

SUBJECT_SCHEMA = rf"^{_TOKEN}(\.{_TOKEN}){{0,{MAX_TOKENS - 1}}}$"
PATTERN_SCHEMA = rf"^(({_TOKEN}|\*)\.){{0,{MAX_TOKENS - 1}}}({_TOKEN}|\*|>)$"
"""The grammar as JSON Schema can say it."""

_OWNED = {"agents": DIRECT, "inbox": INBOX}
_OWNED_NAME = {space: name for name, space in _OWNED.items()}
_PLATFORM = frozenset({"sys", "presence", "dlq"})

SHARED_AGENT_TOKENS = frozenset({"presence", "control", "prompt", "status", "hb"})
"""`agents.presence.…` and the like are shared, so no agent may be called that. The last three are what the
NATS agent protocol has its subjects begin with."""

REPLY_PREFIX = "inbox._"
"""What reply addresses begin with. No agent's id begins with `_`."""

BUS_INBOX = "_INBOX."

_REPLY_ADDRESS = re.compile(r"inbox\._[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{24}")

REPLY_ADDRESS_LENGTH = 48
"""Characters of a reply address: 96 random bits that name a process, 144 that name a request."""


@dataclass(frozen=True, slots=True)
class Address:
    """A subject or pattern inside its tenant.

    `subject` is the short form; `form` is the legacy prefix that the client wrote in front of it
    (empty when it wrote none) and that it gets back in what is delivered to it. `owner` is the
    agent whose own space this is, `*` for a pattern over several agents' spaces, None for shared
    subjects. `platform` marks subjects that only the platform publishes to.
    """

    subject: str
    form: str
    owner: str | None
    platform: bool

    @property
    def reply(self) -> bool:
        """Whether this is the reply address of a request."""
        return self.subject.startswith(REPLY_PREFIX)


def parse_subject(text: str, tenant: str) -> Address:
    """Read a subject to publish to. Raises invalid_subject, or forbidden for another tenant's form."""
    if _SUBJECT.fullmatch(text) is None or len(text) > MAX_BYTES:
        raise _invalid("A subject is up to 16 tokens of letters, digits, _ and -, joined by dots, 255 bytes.")
    return _address(text, tenant)


def parse_pattern(text: str, tenant: str) -> Address:
    """Read a pattern to subscribe to. Raises invalid_subject, or forbidden for another tenant's form."""
    if _PATTERN.fullmatch(text) is None or len(text) > MAX_BYTES:
        raise _invalid("A pattern is a subject in which * stands for one token and a last > for the rest.")
    address = _address(text, tenant)
    if address.reply:
        raise _invalid("Nobody subscribes to reply addresses: replies come to who asked.")
    return address


def _address(text: str, tenant: str) -> Address:
    form = _legacy_form(text, tenant)
    subject = text[len(form) :]
    if form and _legacy_form(subject, tenant):
        # So a short form means the same when it is read again: a reply_to, a channel's id.
        raise _invalid("A subject names its tenant once at most.")
    tokens = subject.split(".")
    if len(tokens) > MAX_TOKENS:
        raise _invalid("A subject has 16 tokens at most.")
    first = tokens[0]
    owner = None
    if first in _OWNED:
        if len(tokens) == 2 and tokens[1] == ">":
            raise _invalid(f"{first}.> mixes shared subjects and agents' own; name the agent.")
        if len(tokens) > 2 and not (first == "agents" and tokens[1] in SHARED_AGENT_TOKENS):
            owner = tokens[1]
        elif first == "inbox":
            raise _invalid("An inbox subject is inbox.{agent}.{token}.")
        if subject.startswith(REPLY_PREFIX) and ">" not in tokens and "*" not in tokens:
            parse_reply_address(subject)
    return Address(subject, form, owner, platform=first in _PLATFORM)


def parse_reply_address(text: str) -> str:
    """Check a reply address. Raises invalid_subject."""
    if _REPLY_ADDRESS.fullmatch(text) is None:
        raise _invalid("This is not the reply address of a request.")
    return text


def is_reply_address(text: str, tenant: str) -> bool:
    """Whether a subject to publish to, in any form, is the reply address of a request."""
    try:
        return REPLY_PREFIX in text and parse_subject(text, tenant).reply
    except ArtcafeError:
        return False


def _legacy_form(text: str, tenant: str) -> str:
    """The prefix of a client that writes its tenant into the subject; empty when there is none."""
    tokens = text.split(".", 4)
    if len(tokens) < 2:
        return ""
    first, second = tokens[0], tokens[1]
    if first in {"tenant", "channels"}:
        if second == ">" or (len(tokens) > 2 and second != tenant):
            raise ArtcafeError(Code.forbidden, "The subject names another tenant.")
        if len(tokens) == 2:
            return ""
        if first == "tenant" and len(tokens) > 3 and tokens[2] == "channel":
            return f"tenant.{tenant}.channel."
        return f"{first}.{tenant}."
    if first == "agents" and second == tenant and second not in SHARED_AGENT_TOKENS and len(tokens) > 2:
        return f"agents.{tenant}."
    return ""


def _invalid(message: str) -> ArtcafeError:
    return ArtcafeError(Code.invalid_subject, message)


def to_bus(sender: str, subject: str) -> str:
    """The bus subject on which `sender` publishes to a parsed, short `subject`."""
    return _on_bus(sender, subject)


def pattern_to_bus(pattern: str) -> str:
    """The bus pattern that receives a parsed, short `pattern` from every sender."""
    return _on_bus("*", pattern)


def _on_bus(sender: str, subject: str) -> str:
    first, _, rest = subject.partition(".")
    if first in _PLATFORM:
        return f"{RESERVED}.{sender}.{subject}"
    if subject.startswith(REPLY_PREFIX):
        return f"{BUS_INBOX}{subject[len(REPLY_PREFIX) :]}.{sender}"
    space = _OWNED.get(first)
    if space is not None:
        owner, _, tail = rest.partition(".")
        if tail and not (space == DIRECT and owner in SHARED_AGENT_TOKENS):
            return f"{space}.{owner}.{sender}.{tail}"
    return f"{SHARED}.{sender}.{subject}"


# Each message asks, and most are on the subject of another.
@lru_cache(maxsize=1024)
def from_bus(bus_subject: str) -> tuple[str, str]:
    """The (sender, subject) of a bus subject. Raises ValueError for one that `to_bus` never makes."""
    space, _, rest = bus_subject.partition(".")
    sender, _, subject = rest.partition(".")
    if space in _OWNED_NAME:
        owner = sender
        sender, _, tail = subject.partition(".")
        subject = f"{_OWNED_NAME[space]}.{owner}.{tail}"
    # Somebody else on the bus may have written anything: what comes out here is spliced into frames.
    if _SUBJECT.fullmatch(bus_subject) is None or _on_bus(sender, subject) != bus_subject:
        raise ValueError("not a subject of this platform")
    return sender, subject


def to_stored(bus_subject: str) -> str:
    """The subject under which a stream stores what is told on a shared bus subject, or the pattern of what is
    told on a shared bus pattern. Raises ValueError for any other: only shared subjects are stored."""
    space, _, rest = bus_subject.partition(".")
    if space != SHARED or not rest:
        raise ValueError("only shared subjects are stored")
    return f"{STORED}.{rest}"


def from_stored(stored: str) -> str:
    """The bus subject on which a message is told that is stored under this one. Raises ValueError for one
    that `to_stored` never makes."""
    space, _, rest = stored.partition(".")
    if space != STORED or not rest:
        raise ValueError("not the subject of a stored message")
    return f"{SHARED}.{rest}"


PRIORITIES = range(3)
"""Of messages in an inbox: urgent, normal, low."""


def inbox_owner(address: Address) -> str | None:
    """Whose inbox stores what is published to a subject: an agent's `agents.{id}.…`, a human's
    `inbox.u-….…`; None for all others."""
    human = (address.owner or "").startswith("u-")
    belongs = address.subject.startswith("inbox." if human else "agents.")
    return address.owner if belongs else None


def to_queued(owner: str, priority: int | None) -> str:
    """The subject under which an inbox stores messages of a priority; of all of them, a pattern."""
    return f"{QUEUED}.{owner}.{'*' if priority is None else priority}"


def from_queued(subject: str) -> tuple[str, int]:
    """The owner and the priority of such a subject. Raises ValueError for any other."""
    space, _, rest = subject.partition(".")
    owner, _, priority = rest.partition(".")
    if space != QUEUED or not owner or int(priority) not in PRIORITIES:
        raise ValueError("not the subject of a message in an inbox")
    return owner, int(priority)


def matches(pattern: str, subject: str) -> bool:
    """Tell whether a short pattern receives a short subject: what the bus does, in one place for people
    and tests, and for choosing one of several overlapping subscriptions of a client."""
    wanted = pattern_to_bus(pattern).split(".")
    given = to_bus("-", subject).split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(given) > position
        if position >= len(given) or token not in {"*", given[position]}:
            return False
    return len(wanted) == len(given)


def covers(wide: str, narrow: str) -> bool:
    """Tell whether one short pattern receives everything that another one receives."""
    outer, inner = pattern_to_bus(wide).split("."), pattern_to_bus(narrow).split(".")
    for position, token in enumerate(outer):
        if token == ">":
            return len(inner) > position
        if position >= len(inner) or inner[position] == ">" or token not in {"*", inner[position]}:
            return False
    return len(inner) == len(outer)


def overlap(one: str, other: str) -> bool:
    """Tell whether some subject is received by both of two short patterns."""
    left, right = pattern_to_bus(one).split("."), pattern_to_bus(other).split(".")
    for a, b in zip(left, right, strict=False):
        if ">" in {a, b}:
            return True
        if a != b and "*" not in {a, b}:
            return False
    return len(left) == len(right)
