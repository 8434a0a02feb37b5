"""What is in the store, row by row, and whether it fits together."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from artcafe.server.domain.tenant import Role
from artcafe.server.store.item import Backend, RawItem
from artcafe.server.store.rules import alive
from tests.hammer.model import Path

OF_TENANTS: Final = ("T#", "USE#", "SIZE#", "LOG#", "CH#")
"""What the partitions of a tenant begin with."""

KINDS: Final = {"AGENT#": "agent", "CHAN#": "channel"}


@dataclass(frozen=True)
class Tenant:
    """Rows of one tenant: its id, its record, and the sort keys of its partition with their data."""

    id: str
    record: dict[str, Any]
    rows: dict[str, dict[str, Any]]
    log: list[dict[str, Any]]

    def of(self, prefix: str) -> dict[str, dict[str, Any]]:
        """What stands under a prefix, by what follows it."""
        return {sk.removeprefix(prefix): data for sk, data in self.rows.items() if sk.startswith(prefix)}

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        """By user."""
        return self.of("MEMBER#")

    @property
    def owners(self) -> list[str]:
        """Who owns it."""
        return [user for user, member in self.members.items() if member["role"] == Role.owner]

    def bytes(self, *prefixes: str) -> int:
        """How much the rows under these prefixes take, as JSON."""
        return sum(
            len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
            for prefix in prefixes
            for data in self.of(prefix).values()
        )


class Contents:
    """All rows that have not expired."""

    def __init__(self, rows: list[RawItem], now: float) -> None:
        self.items: dict[str, dict[str, dict[str, Any]]] = {}
        self.partitions: set[str] = set()
        for row in rows:
            if not alive(row.expires, int(now)):
                continue
            if row.n != 0:
                self.partitions.add(row.pk)
            if row.n is None:
                self.items.setdefault(row.pk, {})[row.sk] = json.loads(row.text)
        self.tenants = {tenant.id: tenant for tenant in self._tenants()}

    @classmethod
    async def read(cls, backend: Backend, now: float) -> "Contents":
        """What is there now."""
        found, cursor = await backend.rows()
        while cursor is not None:
            more, cursor = await backend.rows(cursor)
            found += more
        return cls(found, now)

    def partition(self, tenant: str) -> str:
        """Its name; of older stores, and before there were names, it is the tenant's id."""
        return str(self.items["TENANTS"][tenant].get("partition", tenant))

    def _tenants(self) -> Iterator[Tenant]:
        for tenant in self.items.get("TENANTS", {}):
            name = self.partition(tenant)
            rows = self.items.get(f"T#{name}", {})
            if "META" in rows:
                log = list(self.items.get(f"LOG#{name}", {}).values())
                yield Tenant(tenant, {**rows.get("DETAIL#META", {}), **rows["META"]}, rows, log)

    def state(self) -> dict[Path, Any]:
        """Everything that calls make and change, by its path."""
        found: dict[Path, Any] = {}
        for tenant in self.tenants.values():
            place = (tenant.id,)
            found[place] = True
            found[*place, "description"] = tenant.record.get("description")
            found |= {
                (*place, "member", user): Role(member["role"]) for user, member in tenant.members.items()
            }
            found |= {
                (*place, "invitation", which): Role(invitation["role"])
                for which, invitation in tenant.of("INVITE#").items()
            }
            for prefix, kind in KINDS.items():
                for name, record in tenant.of(prefix).items():
                    path = (*place, kind, name)
                    whole = {**tenant.rows.get(f"DETAIL#{prefix}{name}", {}), **record}
                    found[path] = True
                    found[*path, "n"] = whole.get("metadata", {}).get("n")
                    found |= {
                        (*path, "key", key["fingerprint"]): key["status"] for key in whole.get("keys", ())
                    }
        return found

    def faults(self) -> Iterator[tuple[str, Path]]:
        """What does not fit together, and about what it is."""
        known = self.items.get("TENANTS", {})
        yield from (("a tenant without its record", (each,)) for each in known if each not in self.tenants)
        ours = {f"{prefix}{self.partition(tenant)}" for tenant in known for prefix in OF_TENANTS}
        for pk in sorted(self.partitions - ours):
            if pk.startswith(OF_TENANTS):
                yield f"rows of no tenant: {pk} has {sorted(self.items.get(pk, {}))}", (pk.partition("#")[2],)
        for tenant in self.tenants.values():
            if not tenant.owners:
                yield "a tenant without an owner", (tenant.id,)
            yield from self._of_agents(tenant)
            for sk in tenant.rows:
                if sk.startswith("DETAIL#") and sk.removeprefix("DETAIL#") not in tenant.rows:
                    yield f"a description of nothing: {sk}", (tenant.id,)
        yield from self._of_users()

    def _of_agents(self, tenant: Tenant) -> Iterator[tuple[str, Path]]:
        held = [
            (key["fingerprint"], name)
            for name, agent in tenant.of("AGENT#").items()
            for key in agent.get("keys", ())
        ]
        claims = [(fingerprint, claim["agent"]) for fingerprint, claim in tenant.of("FP#").items()]
        for fingerprint, name in sorted(set(held) ^ set(claims)):
            which = "a key without its claim" if (fingerprint, name) in held else "a claim without its key"
            yield f"{which}: {fingerprint}", (tenant.id, "agent", name)
        if len(held) > len({fingerprint for fingerprint, _ in held}):
            yield "a key of two agents", (tenant.id, "agent")

    def _of_users(self) -> Iterator[tuple[str, Path]]:
        for pk, rows in self.items.items():
            user = pk.removeprefix("U#")
            if user == pk:
                continue
            for sk in rows:
                which = sk.removeprefix("TENANT#")
                if which != sk and (which not in self.tenants or user not in self.tenants[which].members):
                    yield "a user's row of no membership", (which, "member", user)
            made = set(rows.get("MADE", {}).get("tenants", ()))
            there = {tenant.id for tenant in self.tenants.values() if tenant.record["created_by"] == user}
            for which in sorted(made ^ there):
                yield (
                    f"a tenant that {user} {'made' if which in there else 'did not make'} is miscounted",
                    (which,),
                )
        for tenant in self.tenants.values():
            for user in tenant.members:
                if f"TENANT#{tenant.id}" not in self.items.get(f"U#{user}", {}):
                    yield "a membership without its user's row", (tenant.id, "member", user)
