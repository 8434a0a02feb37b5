"""Who changed what, when and from where."""

from collections.abc import Iterable

from msgspec import Struct

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.principal import Human

RETENTION_DAYS = 365
"""How long an entry is kept; entries of a deleted tenant go with it."""

OPERATOR = "operator"
"""Who acts on the word of whoever runs the installation."""


class Entry(Struct, frozen=True, kw_only=True):
    """One change, written in the transaction that makes it.

    `action` is noun and verb, `agent.update`; `fields` are the names of what was set, never the
    values. `request` is the request id under which the log has more.
    """

    id: str
    tenant: TenantId
    at: str
    actor: str
    email: str = ""
    action: str
    target: str
    fields: list[str] = []
    remote: str = ""
    request: str = ""


def entry(human: Human, action: str, target: str, fields: Iterable[str] = (), *, at: str, new: str) -> Entry:
    """What a human did at this time (RFC 3339), under a new id."""
    return Entry(
        id=new,
        tenant=human.tenant,
        at=at,
        actor=human.user,
        email=human.email,
        action=action,
        target=target,
        fields=sorted(fields),
        remote=human.remote,
        request=human.request,
    )
