"""Who asks: requests that are remembered with their answers, and what is believed of who may do what."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from random import Random
from typing import Any, Final

from artcafe.server.api.deps import FRESH_SECONDS
from artcafe.server.domain.tenant import Role
from tests.hammer.model import Call, History, Outcome, Path, rank
from tests.hammer.servers import Servers

TENANTS: Final = ("red", "green", "blue")
USERS: Final = ("ada", "bob", "cleo", "dan", "eve")

MOST_SHOWN = 100
"""Characters of a body that are shown where it went wrong."""

SECONDS = 0.2
"""How much time passes with each request, so that rates allow them."""

SLOW = 0.1
"""How likely a body comes late."""

TRIES = 4
"""How often a request with an Idempotency-Key is sent at most."""

Ask = Callable[[str], Coroutine[Any, Any, Call]]


class Client:
    """Requests to any of the servers. `invitations` are those that were shown: tenant, id, token, role."""

    def __init__(self, servers: Servers, history: History, chance: Random) -> None:
        self.servers = servers
        self.history = history
        self._chance = chance
        self.invitations: list[tuple[str, str, str, Role]] = []
        self._roles: dict[tuple[str, str], Role] = {}
        self._series = 0

    async def ask(
        self,
        method: str,
        path: str,
        user: str,
        tenant: str = "",
        *,
        action: str = "",
        needs: Role | None = None,
        effects: dict[Path, Any] | None = None,
        body: Any = None,
        series: str = "",
        header: bool = False,
    ) -> Call:
        """One request and its answer. `header` names the tenant in it, as where the path does not."""
        call = Call(
            request=f"r{len(self.history.calls)}",
            what=f"{method} {path}"
            + (f" in {tenant}" if header else "")
            + ("" if body is None else f" {body}"[:MOST_SHOWN]),
            user=user,
            tenant=tenant,
            action=action,
            began=self.history.tick(),
            effects=effects or {},
            needs=needs,
            series=series,
        )
        self.history.begin(call)
        server = self.servers.any()
        headers = {"authorization": f"Bearer {server.api.tokens.give(user)}", "x-request-id": call.request}
        if header:
            headers["x-tenant-id"] = tenant
        if series:
            headers["idempotency-key"] = series
        self.servers.clock.advance(SECONDS)
        if body is not None:
            headers["content-type"] = "application/json"
        content = None if body is None else self._slowly(call, json.dumps(body).encode())
        answer = await server.client.request(method, f"/api/v1{path}", content=content, headers=headers)
        call.ended, call.status = self.history.tick(), answer.status_code
        if answer.is_success:
            replayed = "idempotency-replayed" in answer.headers
            call.outcome = Outcome.replayed if replayed else Outcome.done
            call.answer = answer.json() if answer.content else None
        elif answer.is_client_error:
            call.outcome = Outcome.refused
            call.answer = answer.json()["code"]
        else:
            call.answer = answer.text
        self._believe(call)
        return call

    async def _slowly(self, call: Call, body: bytes) -> AsyncIterator[bytes]:
        """A body, seldom long after its head. Then it is asked anew who is asking, so that what is asked with
        the body is not asked before it is there."""
        head = self.servers.clock.monotonic()
        yield body[:1]
        slow = self._chance.random() < SLOW
        for _ in range(self._chance.randrange(500) if slow else 0):
            await asyncio.sleep(0)
        if self.servers.clock.monotonic() - head >= FRESH_SECONDS:
            call.began = self.history.tick()
        yield body[1:]

    async def once(self, chance: Random, ask: Ask) -> list[Call]:
        """The same request with a key: now and then twice at once, and again until its outcome is known."""
        self._series += 1
        series, calls = f"s{self._series}", list[Call]()
        for _ in range(TRIES):
            calls += await asyncio.gather(*(ask(series) for _ in range(chance.choice((1, 1, 2)))))
            if calls[-1].outcome is not Outcome.unknown and chance.random() < 0.7:
                break
        done = any(call.sure for call in calls)
        for call in calls:
            call.idle = done and call.outcome is Outcome.replayed
        return calls

    def place(self, chance: Random) -> str:
        """A tenant; most times one that is believed to exist."""
        known = sorted({tenant for tenant, _ in self._roles if tenant in TENANTS})
        return chance.choice(known if known and chance.random() < 0.9 else TENANTS)

    def exists(self, tenant: str) -> bool:
        """Whether it is believed to exist."""
        return any(place[0] == tenant for place in self._roles)

    def who(self, chance: Random, tenant: str, needs: Role) -> str:
        """Most times somebody who may."""
        fit = [user for user in USERS if rank(self._roles.get((tenant, user), Role.viewer)) >= rank(needs)]
        known = [user for user in fit if (tenant, user) in self._roles]
        return chance.choice(known if known and chance.random() < 0.9 else USERS)

    def _believe(self, call: Call) -> None:
        if call.outcome is Outcome.refused:
            return
        for path, value in call.effects.items():
            if len(path) == 1 and value is None:
                for place in [place for place in self._roles if place[0] == path[0]]:
                    del self._roles[place]
            elif len(path) == 3 and path[1] == "member":
                if value is None:
                    self._roles.pop((path[0], path[2]), None)
                else:
                    self._roles[path[0], path[2]] = value
