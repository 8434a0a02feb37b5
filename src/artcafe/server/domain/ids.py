"""Identifiers: one spelling each, safe as a NATS token, a store key and a URL segment."""

import base64
import hashlib
import re
from typing import NewType

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import SHARED_AGENT_TOKENS

TenantId = NewType("TenantId", str)
AgentId = NewType("AgentId", str)
ChannelId = NewType("ChannelId", str)
UserId = NewType("UserId", str)

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
"""Tenant and agent identifiers, as JSON Schema and OpenAPI see them."""

USER_PATTERN = r"^(\.?[ -\-/-~][ -~]*|\.\.[ -~]+)$"
"""Identifiers of humans: printable ASCII, but for `.` and `..`, which in a path name another place."""

PLATFORM_SENDER = "sys"
HUMAN_PREFIX = "u-"

_ID = re.compile(PATTERN)
_USER = re.compile(USER_PATTERN)
_RESERVED_AGENTS = SHARED_AGENT_TOKENS | {PLATFORM_SENDER}


def tenant_id(text: str) -> TenantId:
    """Check a tenant identifier. Raises validation_failed."""
    if _ID.fullmatch(text) is None:
        raise _refused("tenant id")
    return TenantId(text)


def agent_id(text: str) -> AgentId:
    """Check an agent identifier. Raises validation_failed, also for names that mean something on the bus."""
    if _ID.fullmatch(text) is None:
        raise _refused("agent id")
    if is_reserved(text):
        raise ArtcafeError(
            Code.validation_failed,
            f"An agent id is not one of {', '.join(sorted(_RESERVED_AGENTS))} and does not begin with u-.",
        )
    return AgentId(text)


def is_user_id(text: str) -> bool:
    """Tell whether the issuer's name for a human can be an identifier here: 255 characters at most."""
    return len(text) <= 255 and _USER.fullmatch(text) is not None


def is_reserved(text: str) -> bool:
    """Tell whether a name means something on the bus, so that no agent may have it."""
    return text in _RESERVED_AGENTS or text.startswith(HUMAN_PREFIX)


def _refused(what: str) -> ArtcafeError:
    return ArtcafeError(
        Code.validation_failed,
        f"A {what} is 1 to 63 letters, digits, _ and -, and begins with a letter or digit.",
    )


def human_sender(user: UserId) -> str:
    """The sender token of a human on the bus. A subject claim of another alphabet is hashed.

    A hash stands behind a second `-`, where no claim stands as it is: a claim that spells somebody
    else's hash does not become that human.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", user):
        return HUMAN_PREFIX + user
    digest = hashlib.sha256(user.encode()).digest()
    return f"{HUMAN_PREFIX}-{base64.b32encode(digest)[:26].decode().lower()}"


def slug(name: str) -> str:
    """An identifier like a name: `Trip Planner!` becomes `trip-planner`; empty when nothing is left."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_")[:48].strip("-_")
