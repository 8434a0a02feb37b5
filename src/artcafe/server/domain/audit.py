"""The entries of the audit: actor, action, target, time and address."""

from collections.abc import Callable, Iterable

from msgspec import Struct

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.principal import Human, User
from artcafe.wire.times import rfc3339

RETENTION_DAYS = 365
"""How long an entry is kept; entries of a deleted tenant go with it."""

OPERATOR = "operator"
"""Who acts on the word of whoever runs the installation."""


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One change, written in the transaction that makes it.

    `action` is noun and verb, `agent.update`; `fields` are the names of what was set, never the
    values. `group` is the issuer's, where the actor's role came from one and not from a stored membership.
    `request` is the request id under which the log has more. `operator` says that an operator of the platform
    did it, as one; of that one only the subject stands here, for the tenant to read.
    """

    id: str
    tenant: TenantId
    at: str
    actor: str
    email: str = ""
    group: str = ""
    action: str
    target: str
    fields: list[str] = []
    remote: str = ""
    request: str = ""
    operator: bool = False


class AuditWriter:
    """Makes entries. `now` gives seconds since the Unix epoch, `new_id` an id that nothing else has."""

    def __init__(self, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._now = now
        self._new_id = new_id

    def entry(self, human: Human, action: str, target: str, fields: Iterable[str] = ()) -> AuditEntry:
        """The entry of a human's action, as of now."""
        return AuditEntry(
            id=self._new_id(),
            tenant=human.tenant,
            at=rfc3339(self._now()),
            actor=human.user,
            email=human.email,
            group=human.group,
            action=action,
            target=target,
            fields=sorted(fields),
            remote=human.remote,
            request=human.request,
        )

    def by_operator(
        self, user: User, tenant: TenantId, action: str, target: str, fields: Iterable[str]
    ) -> AuditEntry:
        """The entry of an operator's action on a tenant, as of now."""
        return AuditEntry(
            id=self._new_id(),
            tenant=tenant,
            at=rfc3339(self._now()),
            actor=user.id,
            action=action,
            target=target,
            fields=sorted(fields),
            request=user.request,
            operator=True,
        )
