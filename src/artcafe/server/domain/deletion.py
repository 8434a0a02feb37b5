"""A tenant that is being deleted."""

from msgspec import Struct

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import TenantRules

LINGER_SECONDS = 120.0
"""How long after its end a deletion is remembered, and what server processes still counted of the tenant, who
had not heard of it, is removed. Many times what they keep in memory."""


class Deletion(Struct, frozen=True, kw_only=True):
    """A tenant's pending deletion: everything until `freed_at` (RFC 3339), when the tenant's id was free
    again; then late rows. `partition` holds its rows, `created_by` is the user among whose tenants it
    counts."""

    tenant: TenantId
    rules: TenantRules
    partition: str
    created_by: str
    freed_at: str | None = None
