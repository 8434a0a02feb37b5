"""What the core needs from outside. Each port is small and says what it promises.

Every method raises ArtcafeError(unavailable) when the thing behind it is away; after a write that
failed so, the outcome is unknown. Tenant data is always asked for tenant first.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.domain.tenant import Member, Tenant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, in byte order of the ids. The end is reached when `cursor` is None, not before."""

    items: list[T]
    cursor: str | None


class Clock(Protocol):
    """The time, passed in."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


# The store.


class TenantRecords(Protocol):
    """Tenants and their members. Reads are strong: a write that returned is seen by the next read."""

    async def get(self, tenant: TenantId) -> Tenant | None:
        """The tenant, or None."""

    async def create(self, tenant: Tenant, owner: Member) -> None:
        """Both or neither. Raises conflict when the id is taken."""

    async def change(self, tenant: TenantId, edit: Callable[[Tenant], Tenant]) -> Tenant:
        """Apply `edit` to the current record, again when somebody else was faster. Raises not_found."""

    async def delete(self, tenant: TenantId) -> None:
        """Remove the tenant and everything stored under it. Nothing happens when it is gone already."""

    def every(self) -> AsyncIterator[Tenant]:
        """All tenants of the installation, in no order."""


class MemberRecords(Protocol):
    """Who belongs where; both directions change together."""

    async def get(self, tenant: TenantId, user: UserId) -> Member | None:
        """The membership, or None."""

    async def of_tenant(self, tenant: TenantId) -> list[Member]:
        """All members of a tenant."""

    async def of_user(self, user: UserId) -> list[Member]:
        """All memberships of a user."""

    async def put(self, member: Member) -> None:
        """Add a member or change its role. Raises not_found when the tenant does not exist."""

    async def delete(self, tenant: TenantId, user: UserId) -> None:
        """Remove a member. Raises not_found."""


class AgentRecords(Protocol):
    """Agents with their keys. A key's fingerprint belongs to one agent of a tenant at a time."""

    async def get(self, tenant: TenantId, agent: AgentId) -> Agent | None:
        """The agent, or None."""

    async def create(self, agent: Agent) -> None:
        """Raises conflict when the id or one of the keys is taken, not_found without the tenant."""

    async def change(self, tenant: TenantId, agent: AgentId, edit: Callable[[Agent], Agent]) -> Agent:
        """Apply `edit` to the current record, again when somebody else was faster.

        Raises not_found, and conflict when a key that `edit` adds belongs to another agent.
        """

    async def delete(self, tenant: TenantId, agent: AgentId) -> None:
        """Remove the agent and what hangs on it. Raises not_found."""

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Agent]:
        """A page of agents. Raises bad_request for a cursor that no earlier page gave."""

    async def count(self, tenant: TenantId) -> int:
        """How many agents the tenant has."""


class SightingRecords(Protocol):
    """When keys and agents were last seen, and where they are connected now."""

    async def used(self, tenant: TenantId, agent: AgentId, fingerprint: str, at: str) -> None:
        """A key logged in. Nothing is written of an agent that was deleted meanwhile."""

    async def uses(self, tenant: TenantId, agent: AgentId) -> Mapping[str, str]:
        """Fingerprint to the RFC 3339 time of its last login."""

    async def announce(
        self,
        tenant: TenantId,
        instance: str,
        online: Mapping[AgentId, int],
        left: Mapping[AgentId, str],
        expires: int,
    ) -> None:
        """Replace what this server process holds: connections per agent, until `expires` (Unix seconds).

        `left` has the agents that went since the last time, and when (RFC 3339). Nothing is written
        of a tenant or an agent that was deleted meanwhile.
        """

    async def online(self, tenant: TenantId, besides: str) -> Mapping[AgentId, int]:
        """Connections per agent, over all processes but the one called `besides`."""

    async def last_seen(self, tenant: TenantId, agents: Sequence[AgentId]) -> Mapping[AgentId, str]:
        """When these agents were last seen going, RFC 3339; an agent never seen is missing."""


class ChannelRecords(Protocol):
    """Channels of a tenant."""

    async def get(self, tenant: TenantId, channel: ChannelId) -> Channel | None:
        """The channel, or None."""

    async def create(self, channel: Channel) -> None:
        """Raises conflict when the id is taken, not_found without the tenant."""

    async def change(
        self, tenant: TenantId, channel: ChannelId, edit: Callable[[Channel], Channel]
    ) -> Channel:
        """Apply `edit` to the current record, again when somebody else was faster. Raises not_found."""

    async def delete(self, tenant: TenantId, channel: ChannelId) -> None:
        """Remove the channel. Raises not_found."""

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Channel]:
        """A page of channels. Raises bad_request for a cursor that no earlier page gave."""

    async def count(self, tenant: TenantId) -> int:
        """How many channels the tenant has."""


class ChallengeRecords(Protocol):
    """The memory of what was answered once."""

    async def spend(self, tenant: TenantId, agent: AgentId, challenge: str, expires: int | None) -> bool:
        """Take a challenge for ever, or until `expires` (Unix seconds); False when it was taken before.

        Exactly one of any number of callers, on any number of processes, gets True.
        """


class UsageRecords(Protocol):
    """Counts per tenant and UTC day (`2026-11-23`)."""

    async def add(self, counts: Mapping[tuple[TenantId, str, str], int]) -> None:
        """Add `{(tenant, day, metric): n}`. Increments never conflict."""

    async def days(self, tenant: TenantId, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """Metrics of each day from first to last, both included; a day without counts is missing."""


# The bus.

Deliver = Callable[[str, bytes], None]
"""Called with (bus subject, payload) in the event loop, in the order of arrival; must not block or raise."""


class Subscription(Protocol):
    """Interest in a pattern."""

    async def close(self) -> None:
        """Nothing is delivered after this returns. Closing twice is allowed."""


class Link(Protocol):
    """One tenant's place on the bus. Subjects are bus subjects, as wire.subjects spells them.

    `gaps` counts how often its subscriptions may have missed messages: the bus was away.
    """

    gaps: int

    def publish(self, subject: str, payload: bytes) -> None:
        """Send at most once; never blocks. Order is kept per link.

        Raises unavailable when the bus is away and the bounded buffer is full: nothing was taken.
        """

    async def subscribe(self, pattern: str, deliver: Deliver, queue: str | None = None) -> Subscription:
        """When this returns, whatever is published later anywhere is delivered while the link lives.

        With `queue`, each message goes to one member of the group of that name and pattern.
        """

    async def flush(self) -> None:
        """When this returns, the bus has everything published before. Raises unavailable."""


class Bus(Protocol):
    """Links to tenants' accounts: at most one connection per tenant and process."""

    async def link(self, tenant: Tenant) -> Link:
        """The tenant's link, connected. Each call is matched by one `release`; the last one lets it close
        after a while of silence. Raises unavailable."""

    def release(self, tenant: TenantId) -> None:
        """Give back one `link`."""

    async def drop(self, tenant: TenantId) -> None:
        """Close the tenant's connection at once, whoever holds it: the tenant was deleted or suspended."""

    async def ping(self) -> None:
        """Raises unavailable when the bus does not answer."""


class Accounts(Protocol):
    """Tenants' accounts on the bus. The store is the source of truth; this makes the bus agree with it."""

    async def push(self, tenant: Tenant) -> None:
        """Create or update the tenant's account. Effective on live connections when it returns."""

    async def remove(self, tenant: Tenant) -> None:
        """Delete the account with its streams; its connections end. Nothing happens when it is gone."""

    async def reconcile(self, tenants: Sequence[Tenant]) -> int:
        """Push what the bus lacks or holds differently, delete what no tenant owns; how many changed."""


class Control(Protocol):
    """Words between the server processes of one installation, on an account no tenant sees."""

    async def tell(self, topic: str, payload: bytes) -> None:
        """To every process that hears the topic, this one included. At most once. Raises unavailable."""

    async def hear(self, topic: str, deliver: Deliver) -> Subscription:
        """`deliver` gets (topic, payload)."""


# Identity.


class PublicKey(Protocol):
    """An SSH public key that was read and found strong enough."""

    @property
    def type(self) -> str:
        """As OpenSSH names it: `ssh-ed25519`."""

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen prints it: `SHA256:…`."""

    @property
    def comment(self) -> str:
        """What stood behind the key; may be empty."""

    @property
    def line(self) -> str:
        """Type and base64, without the comment: what is stored."""


ReadKey = Callable[[str], PublicKey]
"""Read an OpenSSH line or a PEM public key; raises validation_failed with the reason."""

MakeKeyPair = Callable[[], Awaitable[tuple[str, str]]]
"""A new (private key as PKCS#8 PEM, public key line)."""


class SignatureVerifier(Protocol):
    """SSH signatures."""

    @property
    def decoy(self) -> str:
        """A public key that nobody can sign for: the same work for agents that do not exist."""

    def verify(self, key: str, text: bytes, signature: str) -> bool:
        """Check a signature (armored SSHSIG, or base64 of a raw one) by a stored key line. Never raises."""


class Claims(Protocol):
    """What a valid token says about a human."""

    @property
    def subject(self) -> str:
        """Who, at the issuer."""

    @property
    def email(self) -> str | None:
        """Only for people to read."""

    @property
    def tenant_claim(self) -> str | None:
        """Picks among memberships; never makes one."""

    @property
    def expires(self) -> int:
        """Unix seconds."""


class TokenVerifier(Protocol):
    """Humans' tokens."""

    async def verify(self, token: str) -> Claims:
        """Raises unauthorized, token_expired, or unavailable when the issuer's keys were never had."""


class Issuer(Protocol):
    """The embedded installation's own issuer of tokens."""

    def jwks(self) -> dict[str, object]:
        """The public keys, RFC 7517."""

    def configuration(self) -> dict[str, object]:
        """OpenID Connect Discovery 1.0, section 3."""

    def mint(
        self,
        subject: str,
        *,
        email: str | None = None,
        lifetime_seconds: int = 3600,
        tenant: str | None = None,
    ) -> str:
        """An access token."""

    def secret_matches(self, candidate: str) -> bool:
        """Whether the caller can read the secret in the data directory; constant time."""
