"""A change of a stored record, announced to every server process after the commit."""

from enum import StrEnum

from msgspec import Struct

from artcafe.server.domain.ids import TenantId

TOPIC = "changed"
"""The control topic on which changes travel."""


class Kind(StrEnum):
    """The kinds of records that processes cache."""

    tenant = "tenant"
    member = "member"
    agent = "agent"
    channel = "channel"


class Change(Struct, frozen=True):
    """The record of this kind and id is another one now, or gone. A tenant's id is the tenant's own."""

    tenant: TenantId
    kind: Kind
    id: str
