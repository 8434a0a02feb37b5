"""The stored records. Each write takes the audit entry that is stored with it, or None where there is no
actor. A creation takes the response that is kept with it, if any (ports.answers), and raises conflict when
one is kept under the same key already.

Reads are strong: a write that returned is seen by the next read.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.domain.agent import Agent, AgentRules
from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.channel import Channel, ChannelRule
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.domain.invitation import Invitation
from artcafe.server.domain.legal import Acceptance
from artcafe.server.domain.listing import Page, Source
from artcafe.server.domain.sign_in import Decision
from artcafe.server.domain.tenant import Member, Tenant, TenantRules
from artcafe.server.ports.answers import Keep, Kept, keep_nothing
from artcafe.server.ports.leases import ProcessAgents


class TenantRecords(Protocol):
    """Tenants and their members. Reads are strong: a write that returned is seen by the next read."""

    async def get(self, tenant: TenantId) -> Tenant | None:
        """The tenant, also while it is being deleted, or None."""

    async def rules(self, tenant: TenantId) -> TenantRules | None:
        """The part of the tenant that a login reads; None also while it is being deleted."""

    async def space(self, tenant: TenantId) -> int:
        """How many bytes the tenant's agents and channels take, as JSON."""

    async def create(
        self,
        tenant: Tenant,
        owner: Member,
        entry: AuditEntry,
        accepted: Sequence[Acceptance] = (),
        most: int | None = None,
        kept: Kept | None = None,
    ) -> None:
        """All or nothing. Raises conflict when the id is taken.

        With `most` the tenant counts among those that its creator made, and it raises quota_exceeded when so
        many exist: exactly, under concurrent creations too.
        """

    async def change(self, tenant: TenantId, edit: Callable[[Tenant], Tenant], entry: AuditEntry) -> Tenant:
        """Apply `edit` to the current record, again after a conflicting write. What an operator does is
        in the log of the installation, too. Raises not_found, also while the tenant is being deleted."""


class TenantIndex(Protocol):
    """Lists over all tenants."""

    def every(self) -> AsyncIterator[TenantRules | None]:
        """All tenants of the installation that are not being deleted, in no order; None for each whose record
        cannot be read."""

    async def list(self, limit: int, cursor: str | None) -> Page[Tenant]:
        """A page of all tenants, by id, without what only describes them; also those that are being deleted.

        Raises bad_request for a cursor that no earlier page gave.
        """

    async def made_by(self, user: UserId) -> int:
        """How many tenants exist that count among those that the user made."""


class MemberRecords(Protocol):
    """Memberships, as the tenants have them. A tenant keeps an owner: a change that would leave it without
    one raises conflict, even among concurrent changes."""

    async def get(self, tenant: TenantId, user: UserId) -> Member | None:
        """The membership, or None."""

    async def of_tenant(self, tenant: TenantId) -> list[Member]:
        """All members of a tenant."""

    async def of_user(self, user: UserId) -> list[Member]:
        """All memberships of a user."""

    async def put(
        self,
        tenant: TenantId,
        user: UserId,
        edit: Callable[[Member | None], Member],
        entry: AuditEntry,
        keep: Keep[Member] = keep_nothing,
    ) -> Member:
        """Write what `edit` makes of the membership, or of None, again after a conflicting write.

        Raises not_found when the tenant does not exist, conflict, quota_exceeded for too many members.
        """

    async def delete(
        self, tenant: TenantId, user: UserId, check: Callable[[Member], None], entry: AuditEntry
    ) -> None:
        """Remove a member, unless `check` raises. Raises not_found, conflict."""


class InvitationRecords(Protocol):
    """Open invitations; one that expired is gone."""

    async def create(self, invitation: Invitation, entry: AuditEntry, kept: Kept | None = None) -> None:
        """Raises not_found when the tenant does not exist, quota_exceeded when too many stand open."""

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Invitation]:
        """A page of invitations. Raises bad_request for a cursor that no earlier page gave."""

    async def delete(self, tenant: TenantId, invitation: str, entry: AuditEntry) -> None:
        """Withdraw an invitation. Raises not_found."""

    async def withdraw(
        self, tenant: TenantId, maker: UserId, lost: Callable[[Invitation, Member | None], AuditEntry | None]
    ) -> None:
        """Withdraw each for which `lost` gives an entry, by the membership that its maker has in that moment.
        What cannot be is logged, and left."""

    async def accept(
        self,
        tenant: TenantId,
        invitation: str,
        user: UserId,
        join: Callable[[Invitation, Member | None, Member | None], Member],
        entry: AuditEntry,
    ) -> Member:
        """The invitation goes and the member that `join` makes comes, for exactly one of all who try.

        `join` is given the invitation, the user's membership as it is now, and that of the invitation's
        maker, which is still so when the member comes.

        Raises not_found, and whatever `join` raises: then nothing changes.
        """


class LegalRecords(Protocol):
    """Acceptances of the operator's documents. Of each version the first acceptance counts."""

    async def accept(
        self, tenant: TenantId, accepted: Sequence[Acceptance], entry: AuditEntry
    ) -> Sequence[Acceptance]:
        """Add those that are new, and the entry if there are any; what counts now. Raises not_found."""

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Acceptance]:
        """A page of acceptances. Raises bad_request for a cursor that no earlier page gave."""


class AgentRecords(Protocol):
    """Agents with their keys. A key's fingerprint belongs to one agent of a tenant at a time."""

    async def get(self, tenant: TenantId, agent: AgentId) -> Agent | None:
        """The agent, or None."""

    async def rules(self, tenant: TenantId, agent: AgentId) -> AgentRules | None:
        """The part of the agent that a login reads, or None."""

    async def create(
        self,
        agent: Agent,
        limit: int | None,
        entry: AuditEntry,
        space: int | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Raises conflict when the id or one of the keys is taken, not_found without the tenant, and
        quota_exceeded when the tenant has `limit` agents: exactly, under concurrent creations too; or when
        its records would take more than `space` bytes."""

    async def change(
        self,
        tenant: TenantId,
        agent: AgentId,
        edit: Callable[[Agent], Agent],
        entry: AuditEntry,
        space: int | None = None,
        kept: Kept | None = None,
    ) -> Agent:
        """Apply `edit` to the current record, again after a conflicting write.

        Raises not_found, conflict when a key that `edit` adds belongs to another agent, and quota_exceeded
        when the record grows and the tenant's would take more than `space` bytes.
        """

    async def delete(
        self, tenant: TenantId, agent: AgentId, check: Callable[[Agent], None], entry: AuditEntry
    ) -> Agent:
        """Remove the agent and what hangs on it, unless `check` raises; the agent as it was.

        Raises not_found.
        """

    def listed(self, tenant: TenantId) -> Source[Agent]:
        """The tenant's agents, by id. For their heads, capabilities, their definitions and metadata are not
        read."""

    async def count(self, tenant: TenantId) -> int:
        """How many agents the tenant has."""


class KeyUses(Protocol):
    """The times of keys' last logins."""

    def used(self, tenant: TenantId, agent: AgentId, fingerprint: str, at: str) -> None:
        """A key logged in. Known here at once, and everywhere after the next `flush`."""

    async def uses(self, tenant: TenantId, agent: AgentId) -> Mapping[str, str]:
        """Fingerprint to the RFC 3339 time of its last login."""

    async def flush(self) -> None:
        """Write what `used` told. Raises unavailable; what was not written waits for the next time.
        Nothing is written of an agent that was deleted meanwhile."""


class SightingRecords(Protocol):
    """Last-seen times of agents and channels, and the places of connected agents."""

    async def announce(
        self, tenant: TenantId, process: str, online: Mapping[AgentId, int], left: Mapping[AgentId, str]
    ) -> None:
        """Replace what this server process holds: connections per agent, for as long as it holds the lease of
        this name (ports.leases).

        `left` has the agents that went since the last time, and when (RFC 3339). Nothing is written
        of a tenant or an agent that was deleted meanwhile.
        """

    async def left(self, tenant: TenantId, left: Mapping[AgentId, str]) -> None:
        """Note who went when (RFC 3339), unless the agent was deleted meanwhile."""

    async def online(self, tenant: TenantId, latest: int) -> Mapping[str, ProcessAgents]:
        """The connected agents of each process, as it last said. What an older release wrote ends by itself;
        where it would end after `latest` (Unix seconds) its clock was wrong, and it is left out."""

    async def last_seen(self, tenant: TenantId, agents: Sequence[AgentId]) -> Mapping[AgentId, str]:
        """The times at which these agents were last seen, RFC 3339; an agent never seen is missing."""

    async def spoken(self, tenant: TenantId, channels: Mapping[ChannelId, str]) -> None:
        """Record the times of channels' last messages, RFC 3339; an earlier time changes nothing. Nothing is
        written of a channel that was deleted meanwhile."""

    async def last_spoken(self, tenant: TenantId, channels: Sequence[ChannelId]) -> Mapping[ChannelId, str]:
        """The times of these channels' last messages; a channel without one is missing."""


class ChannelRecords(Protocol):
    """Channels of a tenant. What makes one durable, or changes how it is, passes
    durable_channels.check_durable, with `durable_bytes` as the bound and those that are durable at that
    moment, also among concurrent writes."""

    async def get(self, tenant: TenantId, channel: ChannelId) -> Channel | None:
        """The channel, or None."""

    async def create(
        self,
        channel: Channel,
        limit: int | None,
        entry: AuditEntry,
        space: int | None = None,
        kept: Kept | None = None,
        durable_bytes: int | None = None,
    ) -> None:
        """Raises conflict when the id is taken, not_found without the tenant, and quota_exceeded when
        the tenant has `limit` channels: exactly, under concurrent creations too; or when its records would
        take more than `space` bytes, or the rules of its channels more than any tenant may have; and what
        check_durable raises."""

    async def change(
        self,
        tenant: TenantId,
        channel: ChannelId,
        edit: Callable[[Channel], Channel],
        entry: AuditEntry,
        space: int | None = None,
        durable_bytes: int | None = None,
    ) -> Channel:
        """Apply `edit` to the current record, again after a conflicting write. Raises not_found, and
        quota_exceeded as `create` does, for a record that grows; and what check_durable raises."""

    async def delete(
        self, tenant: TenantId, channel: ChannelId, check: Callable[[Channel], None], entry: AuditEntry
    ) -> Channel:
        """Remove the channel, unless `check` raises; the channel as it was. Raises not_found."""

    def listed(self, tenant: TenantId) -> Source[Channel]:
        """The tenant's channels, by id. For their heads, description and metadata are not read."""

    async def rules(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[ChannelRule]:
        """The rules that a login reads, a page at a time."""

    async def count(self, tenant: TenantId) -> int:
        """How many channels the tenant has."""


class DurableRecords(Protocol):
    """The durable channels of a tenant, read past the cache."""

    async def durable(self, tenant: TenantId) -> DurableChannels | None:
        """Those of this moment; None where the tenant never had any."""


class AuditRecords(Protocol):
    """The audit; its entries are written with the changes. Operations on whole tenants are in the log of the
    installation as well, which outlives the tenant."""

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """A page of entries, the newest first. Raises bad_request for a cursor that no page gave."""

    async def of_installation(self, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """The same of the installation: tenants made, deleted, and operated by operators."""


class Directory(Protocol):
    """The records that logins and message permissions need, from memory where they are cached; no metadata is
    read for it.

    A change is seen as soon as word of it comes (domain.change), and after some seconds if none does.
    """

    async def tenant(self, tenant: TenantId) -> TenantRules | None:
        """The tenant, or None."""

    async def agent(self, tenant: TenantId, agent: AgentId) -> AgentRules | None:
        """The agent, or None."""

    async def rules(self, tenant: TenantId) -> ChannelRules:
        """All channels of a tenant: the same object for everybody, until one of them changes."""


class ChallengeRecords(Protocol):
    """The memory of what was answered once."""

    async def spend(self, tenant: TenantId, agent: AgentId, challenge: str, expires: int | None) -> bool:
        """Take a challenge for ever, or until `expires` (Unix seconds); False when it was taken before.

        Exactly one of any number of callers, on any number of processes, gets True.
        """


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """The decision about a device, and the user who made it: text that only the issuer interprets."""

    decision: Decision
    by: str = ""


class SignInRecords(Protocol):
    """The state of sign-ins at the embedded issuer. Times are Unix seconds."""

    async def spend(self, code: str, expires: int) -> bool:
        """Take a code until `expires`; exactly one of any number of callers, on any process, gets True."""

    async def spent(self, code: str) -> bool:
        """Whether it was taken and `expires` is not over."""

    async def keep(self, proof: str, who: str, expires: int) -> None:
        """Keep whom a sign-in code stands for."""

    async def take(self, proof: str) -> str | None:
        """Take the code and return its owner's text; one of any number of callers gets it, the others and
        later ones get None."""

    async def wait(self, user_code: str, expires: int) -> bool:
        """Let a device wait under a code until `expires`; False when another one does."""

    async def decide(self, user_code: str, answer: DeviceAnswer) -> bool:
        """Answer a device, once; False when none waits under this code any more."""

    async def device(self, user_code: str) -> DeviceAnswer | None:
        """The decision about a device, `pending` before; None when none waits under this code."""


class UsageRecords(Protocol):
    """Counts per tenant and UTC day (`2026-11-23`), or under another word in the day's place."""

    async def add(self, counts: Mapping[tuple[TenantId, str, str], int]) -> None:
        """Add `{(tenant, day, metric): n}`. Increments never conflict; a day's are kept for MAX_DAYS."""

    async def active(self, names: Mapping[tuple[TenantId, str, str], Collection[str]]) -> None:
        """Count in each (tenant, day, metric) the names that nobody, in any process, told of it before."""

    async def end(self, metrics: Collection[tuple[TenantId, str, str]], expires: int) -> None:
        """Let these counts (tenant, day, metric) go at that time, in Unix seconds, with what is added to them
        until then."""

    async def days(self, tenant: TenantId, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """Metrics of each day from first to last, both included; a day without counts is missing."""

    async def metrics(self, tenant: TenantId, day: str, prefix: str) -> Mapping[str, int]:
        """The metrics of one day, or of another word, whose names begin with the prefix."""
