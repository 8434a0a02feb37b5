"""Agents and their keys."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from artcafe.server.domain.access import Action, require
from artcafe.server.domain.agent import MAX_KEYS, Agent, AgentKey
from artcafe.server.domain.audit import AuditWriter
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import AgentId, TenantId, agent_id, is_reserved, slug
from artcafe.server.domain.listing import Page, Query, page_of
from artcafe.server.domain.plan import Plan, plan_of
from artcafe.server.domain.policy import checked
from artcafe.server.domain.principal import Human
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.usage import RECEIVED, SENT, incarnation
from artcafe.server.domain.version import require_match
from artcafe.server.ports.answers import Keep, Kept, keep_nothing
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.events import CountersEnded, Events, InboxEnded
from artcafe.server.ports.identity import KeyKind, MakeKeyPair, ReadKey
from artcafe.server.ports.records import AgentRecords, KeyUses, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339


class Agents:
    """Register agents, manage their keys; a right that ends closes live connections at once."""

    def __init__(
        self,
        *,
        records: AgentRecords,
        tenants: TenantRecords,
        uses: KeyUses,
        events: Events,
        read_key: ReadKey,
        make_key_pair: MakeKeyPair,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._tenants = tenants
        self._uses = uses
        self._events = events
        self._read_key = read_key
        self._make_key_pair = make_key_pair
        self._clock = clock
        self._new_id = new_id
        self._audit_writer = AuditWriter(clock.now, new_id)

    async def create(
        self,
        human: Human,
        wanted: str | None,
        public_key: str | None,
        fields: Mapping[str, Any],
        kind: KeyKind = KeyKind.rsa,
        keep: Keep[tuple[Agent, str | None]] = keep_nothing,
    ) -> tuple[Agent, str | None]:
        """A new agent, and its private key of this kind when no public key was given: it is kept nowhere but
        in the answer that `keep` makes.

        Raises conflict when the id or the key is taken, quota_exceeded, validation_failed.
        """
        require(human, Action.manage_agents)
        private_key = None
        key = self._key(public_key) if public_key is not None else None
        name = self._like(fields["name"], human.tenant)
        identifier = agent_id(wanted or name)
        self._check_id(human.tenant, identifier)
        plan = await self._plan(human.tenant)
        if wanted is None and await self._records.get(human.tenant, identifier) is not None:
            identifier = agent_id(f"{name}-{self._new_id()[-6:]}")
        if key is None:
            private_key, line = await self._make_key_pair(kind)
            key = self._key(line)
        fields = self._checked(human.tenant, fields)
        done = self._audit_writer.entry(human, "agent.create", identifier, fields)
        agent = Agent(
            id=identifier,
            tenant=human.tenant,
            incarnation=incarnation(done.id),
            keys=[key],
            created_at=done.at,
            updated_at=done.at,
            **fields,
        )
        kept = await keep((agent, private_key))
        await self._records.create(agent, plan.agents, done, plan.storage_bytes, kept)
        await self._events.tell(_changed(human, identifier))
        return agent, private_key

    def _checked(self, tenant: TenantId, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields as they are stored. Raises invalid_subject and forbidden for a policy's patterns."""
        if "policy" in fields:
            return {**fields, "policy": checked(fields["policy"], tenant)}
        return dict(fields)

    def _like(self, name: str, tenant: TenantId) -> str:
        """An id made from a name; one that an agent may not have gets `agent-` in front."""
        base = slug(name) or self._new_id()
        return f"agent-{base}" if is_reserved(base) or base == tenant else base

    def _check_id(self, tenant: TenantId, agent: AgentId) -> None:
        # agents.{tenant}.x is an old spelling of the subject x, so it cannot also be an agent's own.
        if str(agent) == str(tenant):
            raise ArtcafeError(Code.validation_failed, "An agent is not called like its tenant.")

    async def _plan(self, tenant: TenantId) -> Plan:
        record = await self._tenants.rules(tenant)
        if record is None:
            raise ArtcafeError(Code.not_found)
        return plan_of(record)

    def _key(self, text: str) -> AgentKey:
        public = self._read_key(text)
        return AgentKey(
            fingerprint=public.fingerprint,
            line=public.line,
            type=public.type,
            comment=public.comment,
            created_at=rfc3339(self._clock.now()),
        )

    async def get(self, human: Human, agent: AgentId) -> Agent:
        """Raises not_found."""
        require(human, Action.read)
        record = await self._records.get(human.tenant, agent)
        if record is None:
            raise ArtcafeError(Code.not_found)
        return record

    async def list(self, human: Human, query: Query[Agent]) -> Page[Agent]:
        """A page of agents. Raises bad_request for a cursor that no page of this list gave."""
        require(human, Action.read)
        return await page_of(query, self._records.listed(human.tenant))

    async def count(self, human: Human) -> int:
        """How many agents there are."""
        require(human, Action.read)
        return await self._records.count(human.tenant)

    async def change(
        self, human: Human, agent: AgentId, fields: Mapping[str, Any], if_match: str | None = None
    ) -> Agent:
        """Set some fields. An agent that is disabled loses its connections; a policy is felt at once.

        Raises not_found, precondition_failed, invalid_subject, quota_exceeded.
        """
        require(human, Action.manage_agents)
        fields = self._checked(human.tenant, fields)

        def edit(record: Agent) -> Agent:
            require_match(record, if_match)
            return msgspec.structs.replace(record, **fields)

        # To disable an agent is possible in a tenant that is full.
        limited = not fields.keys() <= {"enabled"}
        changed = await self._edit(human, agent, edit, "agent.update", fields, limited=limited)
        gone = [] if changed.enabled else [Revocation(human.tenant, agent)]
        await self._events.tell(_changed(human, agent), *gone)
        return changed

    async def delete(self, human: Human, agent: AgentId, if_match: str | None = None) -> Agent:
        """Delete the agent; its connections end, and what waits in its inbox goes. What it was. Raises
        not_found, precondition_failed."""
        require(human, Action.manage_agents)
        check = partial(require_match, if_match=if_match)
        done = self._audit_writer.entry(human, "agent.delete", agent)
        gone = await self._records.delete(human.tenant, agent, check, done)
        counters = CountersEnded(human.tenant, (SENT + gone.counted_as, RECEIVED + gone.counted_as))
        await self._events.tell(
            _changed(human, agent),
            Revocation(human.tenant, agent),
            counters,
            InboxEnded(human.tenant, agent),
        )
        return gone

    async def key_uses(self, human: Human, agent: AgentId) -> Mapping[str, str]:
        """Fingerprint to the time of its last login."""
        require(human, Action.read)
        return await self._uses.uses(human.tenant, agent)

    async def add_key(
        self, human: Human, agent: AgentId, public_key: str, keep: Keep[AgentKey] = keep_nothing
    ) -> AgentKey:
        """One more key. Raises not_found, conflict, quota_exceeded, validation_failed."""
        require(human, Action.manage_agents)
        key = self._key(public_key)

        def edit(record: Agent) -> Agent:
            if any(known.fingerprint == key.fingerprint for known in record.keys):
                raise ArtcafeError(Code.conflict, "The agent has this key already.")
            if len(record.keys) >= MAX_KEYS:
                raise ArtcafeError(Code.quota_exceeded, f"An agent has {MAX_KEYS} keys at most.")
            return msgspec.structs.replace(record, keys=[*record.keys, key])

        kept = await keep(key)
        await self._edit(human, agent, edit, "agent.add_key", [key.fingerprint], limited=True, kept=kept)
        await self._events.tell(_changed(human, agent))
        return key

    async def revoke_key(self, human: Human, agent: AgentId, fingerprint: str) -> AgentKey:
        """Revoke a key for good; it stays listed, so that nobody registers it again by mistake.

        Its connections end. Revoking twice is allowed and tells the servers again. Raises not_found.
        """
        require(human, Action.manage_agents)
        at = rfc3339(self._clock.now())

        def edit(record: Agent) -> Agent:
            key = _key_of(record, fingerprint)
            revoked = msgspec.structs.replace(key, status="revoked", revoked_at=key.revoked_at or at)
            keys = [revoked if known is key else known for known in record.keys]
            return msgspec.structs.replace(record, keys=keys)

        changed = await self._edit(human, agent, edit, "agent.revoke_key", [fingerprint])
        await self._events.tell(_changed(human, agent), Revocation(human.tenant, agent, fingerprint))
        return _key_of(changed, fingerprint)

    async def remove_key(self, human: Human, agent: AgentId, fingerprint: str) -> None:
        """Forget a key; its connections end. Raises not_found."""
        require(human, Action.manage_agents)

        def edit(record: Agent) -> Agent:
            key = _key_of(record, fingerprint)
            return msgspec.structs.replace(record, keys=[known for known in record.keys if known is not key])

        await self._edit(human, agent, edit, "agent.remove_key", [fingerprint])
        await self._events.tell(_changed(human, agent), Revocation(human.tenant, agent, fingerprint))

    async def _edit(
        self,
        human: Human,
        agent: AgentId,
        edit: Callable[[Agent], Agent],
        action: str,
        fields: Iterable[str],
        *,
        limited: bool = False,
        kept: Kept | None = None,
    ) -> Agent:
        """Store a change of the record, of which nothing is told here."""
        done = self._audit_writer.entry(human, action, agent, fields)

        def stamped(record: Agent) -> Agent:
            return msgspec.structs.replace(edit(record), version=record.version + 1, updated_at=done.at)

        space = (await self._plan(human.tenant)).storage_bytes if limited else None
        return await self._records.change(human.tenant, agent, stamped, done, space, kept)


def _changed(human: Human, agent: AgentId) -> Change:
    return Change(human.tenant, Kind.agent, agent)


def _key_of(record: Agent, fingerprint: str) -> AgentKey:
    for key in record.keys:
        if key.fingerprint == fingerprint:
            return key
    raise ArtcafeError(Code.not_found, "The agent has no such key.")
