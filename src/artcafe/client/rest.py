"""Management over REST: tenants and their people, agents and their keys, channels, usage."""

import ssl
from hmac import compare_digest
from secrets import token_urlsafe
from types import TracebackType
from typing import Any, Self

from artcafe.client.channel_calls import ChannelCalls
from artcafe.client.http import Http, HttpRequest, Json, UnreachableError, header_value, path_of
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.local_proof import ProofExchange, address, signer

__all__ = ["Json", "Rest", "UnreachableError"]


class Rest(ChannelCalls):
    """Management calls as one human, over one pool of connections.

        async with Rest("https://pubsub.example.com", token, tenant="acme") as rest:
            await rest.create_agent(name="planner", public_key=line)
            planner = await rest.agent("planner")
            await rest.change_agent("planner", if_match=planner["etag"], enabled=False)

    `tenant` picks among the human's memberships; whoever has only one may leave it out. Answers are
    the JSON objects of docs/api.md; lists come whole, whatever number of pages that takes. Every call
    raises ArtcafeError with the code that the server named, and UnreachableError when nothing answers;
    nothing is tried twice. `timeout` is in seconds and counts per request; `tls` replaces the system's
    certificate authorities.

    A tenant, member, agent or channel has its version in `etag`, which is the answer's header. Given back
    as `if_match`, a change or deletion raises precondition_failed when somebody changed it meanwhile.
    A creation with an `idempotency_key`, any name of the caller's, may be asked for again when its outcome
    is not known: for a day the first answer is given again, and nothing is made twice.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        tenant: str | None = None,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        headers = {}
        if token is not None:
            headers["authorization"] = f"Bearer {header_value(token, 'token')}"
        if tenant is not None:
            headers["x-tenant-id"] = header_value(tenant, "tenant")
        self._http = Http(url, headers, timeout=timeout, tls=tls)
        self.url = self._http.url

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection of the pool."""
        await self._http.close()

    async def sign_in_config(self) -> Json:
        """How humans sign in there; needs no token. Raises not_found where no browser can."""
        return await self._http.answer(HttpRequest("GET", path_of("auth", "config")))

    async def answers(self) -> bool:
        """Tell whether anything listens there; needs no token."""
        try:
            await self._http.ask(HttpRequest("GET", path_of("health")))
        except UnreachableError:
            return False
        except ArtcafeError:
            return True
        return True

    async def local_token(
        self,
        secret: str,
        *,
        tenant: str | None = None,
        role: str | None = None,
        email: str | None = None,
    ) -> Json:
        """A token of the platform's own issuer, which only runs in embedded mode.

        `secret` is the content of `issuer/secret` in the data directory. It is not sent: the platform proves
        that it knows it, and is given a proof. Raises unauthorized for a platform of another secret, and for
        another program, which then learned nothing. Without `tenant` the token is the installation's first
        user's. Gives access_token, token_type, expires_in, user, tenant.
        """
        answer = await self._for_secret("/local/token", secret, tenant, role, email)
        if not isinstance(answer.get("access_token"), str):
            raise self._http.stranger()
        return answer

    async def sign_in_code(
        self,
        secret: str,
        *,
        tenant: str | None = None,
        role: str | None = None,
        email: str | None = None,
    ) -> str:
        """A code for the sign-in page of that issuer, for the same users as `local_token`."""
        answer = await self._for_secret("/local/code", secret, tenant, role, email)
        if not isinstance(answer.get("code"), str):
            raise self._http.stranger()
        return str(answer["code"])

    async def _for_secret(self, path: str, secret: str, *who: str | None) -> Json:
        named = zip(("tenant", "role", "email"), who, strict=False)
        wanted = {name: value for name, value in named if value is not None}
        sign, nonce = signer(secret), token_urlsafe(32)
        try:
            given, place = await self._http.met(HttpRequest("POST", "/local/challenge", {"nonce": nonce}))
        except ArtcafeError as error:
            if error.code is not Code.not_found:
                raise
            older = "A platform of an older release has to be restarted with this one."
            raise ArtcafeError(Code.not_found, f"{error.message} {older}") from error
        exchange = ProofExchange(nonce, address(*place))
        challenge, proof = f"{given.get('challenge')}", f"{given.get('proof')}"
        theirs = exchange.of_platform(sign, challenge)
        if not compare_digest(theirs.encode(), proof.encode("utf-8", "replace")):
            raise ArtcafeError(
                Code.unauthorized,
                f"What answers at {self.url} does not know the secret of this data directory: it is another"
                " program, or the platform of another directory.",
            )
        mine = exchange.of_caller(sign, challenge, path, wanted)
        body: Json = {"nonce": nonce, "challenge": challenge, "proof": mine, **wanted}
        return await self._http.answer(HttpRequest("POST", path, body))

    # Tenants, and the documents their owners accept.

    async def tenants(self) -> list[Json]:
        """The tenants that the human belongs to."""
        return await self._http.whole(path_of("tenants"))

    async def create_tenant(self, *, idempotency_key: str | None = None, **fields: Any) -> Json:
        """Make a tenant with the caller as its owner: name, id?, admin_email?, subscription_tier?, ….

        Gives tenant_id, api_key, admin_token. Raises conflict when the id is taken, and
        validation_failed when the operator publishes terms that `terms_version` does not accept.
        """
        return await self._http.answer(
            HttpRequest("POST", path_of("tenants"), fields, idempotency_key=idempotency_key)
        )

    async def tenant(self, tenant: str) -> Json:
        """One tenant with its plan's `limits`. Raises not_found, also for who does not belong to it."""
        return await self._http.answer(HttpRequest("GET", path_of("tenants", tenant)))

    async def change_tenant(self, tenant: str, *, if_match: str | None = None, **fields: Any) -> Json:
        """Change the fields named, leave the others; None clears a field that may be empty."""
        return await self._http.answer(
            HttpRequest("PUT", path_of("tenants", tenant), fields, if_match=if_match)
        )

    async def delete_tenant(self, tenant: str, *, if_match: str | None = None) -> None:
        """Delete a tenant with everything in it, at once and for ever."""
        await self._http.ask(HttpRequest("DELETE", path_of("tenants", tenant), if_match=if_match))

    # All tenants, for operators of the platform. Everybody else gets forbidden.

    async def all_tenants(self, **wanted: str) -> list[Json]:
        """All tenants by id: status?, plan?, q? (part of the name or id)."""
        return await self._http.pages("tenants", path_of("operator", "tenants"), wanted)

    async def any_tenant(self, tenant: str) -> Json:
        """One tenant with `limits`, `overrides` and `usage`. Raises not_found."""
        return await self._http.answer(HttpRequest("GET", path_of("operator", "tenants", tenant)))

    async def operate_tenant(self, tenant: str, *, if_match: str | None = None, **fields: Any) -> Json:
        """Set plan?, status? and limits?; in `limits` None ends an override, and `unlimited` is one."""
        path = path_of("operator", "tenants", tenant)
        return await self._http.answer(HttpRequest("PATCH", path, fields, if_match=if_match))

    async def installation_log(self, *, most: int | None = None, **wanted: str) -> list[Json]:
        """Creations, deletions and operator changes of tenants, the newest first: tenant?, actor?, action?;
        all of them, or the latest `most` that fit."""
        return await self._http.pages("entries", path_of("operator", "log"), wanted, most=most)

    async def legal_versions(self) -> Json:
        """The documents that the operator publishes: `terms` and `privacy`, each version and url or None."""
        return await self._http.answer(HttpRequest("GET", path_of("legal", "versions")))

    async def acceptances(self, tenant: str) -> list[Json]:
        """The tenant's acceptances of documents: user, document, version, time."""
        return await self._http.pages("acceptances", path_of("tenants", tenant, "legal"))

    async def accept_legal(self, tenant: str, **versions: str) -> list[Json]:
        """Accept current documents for the tenant: terms_version?, privacy_version?.

        Gives the acceptances; of each version the first one counts.
        """
        answer = await self._http.answer(HttpRequest("POST", path_of("tenants", tenant, "legal"), versions))
        return self._http.items(answer.get("acceptances"))

    # The humans of a tenant.

    async def members(self, tenant: str) -> list[Json]:
        """Everybody in the tenant."""
        return await self._http.whole(path_of("tenants", tenant, "members"))

    async def member(self, tenant: str, user: str) -> Json:
        """One member. Raises not_found."""
        return await self._http.answer(HttpRequest("GET", path_of("tenants", tenant, "members", user)))

    async def add_member(self, tenant: str, *, idempotency_key: str | None = None, **fields: Any) -> Json:
        """Add a user by its subject at the issuer: user_id, role?, email?; gives the member."""
        return await self._http.answer(
            HttpRequest(
                "POST", path_of("tenants", tenant, "members"), fields, idempotency_key=idempotency_key
            )
        )

    async def change_member(
        self, tenant: str, user: str, *, if_match: str | None = None, **fields: Any
    ) -> Json:
        """Give a member another role: role, email?; gives the member."""
        path = path_of("tenants", tenant, "members", user)
        return await self._http.answer(HttpRequest("PUT", path, fields, if_match=if_match))

    async def remove_member(self, tenant: str, user: str, *, if_match: str | None = None) -> None:
        """Remove a member; anybody may remove themselves, but for the last owner."""
        path = path_of("tenants", tenant, "members", user)
        await self._http.ask(HttpRequest("DELETE", path, if_match=if_match))

    async def invitations(self, tenant: str) -> list[Json]:
        """The invitations that stand open."""
        return await self._http.pages("invitations", path_of("tenants", tenant, "invitations"))

    async def create_invitation(
        self, tenant: str, *, idempotency_key: str | None = None, **fields: Any
    ) -> Json:
        """Invite somebody: role?, email?, expires_in_days?.

        Gives `invitation`, and `token`: whoever accepts that becomes a member. It is never shown again.
        """
        path = path_of("tenants", tenant, "invitations")
        return await self._http.answer(HttpRequest("POST", path, fields, idempotency_key=idempotency_key))

    async def revoke_invitation(self, tenant: str, invitation: str) -> None:
        """Withdraw an invitation. Raises not_found."""
        await self._http.ask(HttpRequest("DELETE", path_of("tenants", tenant, "invitations", invitation)))

    async def accept_invitation(self, token: str) -> Json:
        """Become a member by the token of an invitation, once; gives the member, with its tenant_id."""
        return await self._http.answer(
            HttpRequest("POST", path_of("invitations", "accept"), {"token": token})
        )

    # Agents and their keys.

    async def agents(
        self,
        status: str | None = None,
        *,
        type: str | None = None,  # noqa: A002 - the field's name
        capability: str | None = None,
        tag: str | None = None,
        enabled: bool | None = None,
        q: str | None = None,
        order: str | None = None,
    ) -> list[Json]:
        """Every agent that fits all that is named.

        `status` is online or offline, `tag` one of `metadata.tags`, `q` part of the name or id; `order`
        is id, name, created_at or updated_at, with `-` in front for the other way round.
        """
        asked = {"type": type, "capability": capability, "tag": tag, "q": q, "order": order}
        query = {"status": status, **asked, "enabled": enabled}
        return await self._http.pages("agents", path_of("agents"), query)

    async def create_agent(self, *, idempotency_key: str | None = None, **fields: Any) -> Json:
        """Make an agent: name, id?, type?, public_key?, capabilities?, metadata?, policy?, ….

        Gives `agent`, and `private_key` (PEM) when no public key was sent: it is never shown again.
        """
        request = HttpRequest("POST", path_of("agents"), fields, idempotency_key=idempotency_key)
        return await self._http.answer(request, record="agent")

    async def agent(self, agent: str) -> Json:
        """One agent. Raises not_found."""
        return await self._http.record("agent", HttpRequest("GET", path_of("agents", agent)))

    async def change_agent(self, agent: str, *, if_match: str | None = None, **fields: Any) -> Json:
        """Change the fields named, leave the others; gives the agent."""
        return await self._http.record(
            "agent", HttpRequest("PUT", path_of("agents", agent), fields, if_match=if_match)
        )

    async def delete_agent(self, agent: str, *, if_match: str | None = None) -> None:
        """Delete an agent; its connections are closed. Raises not_found."""
        await self._http.ask(HttpRequest("DELETE", path_of("agents", agent), if_match=if_match))

    async def keys(self, agent: str) -> list[Json]:
        """The SSH keys of an agent, revoked ones included."""
        return await self._http.pages("keys", path_of("agents", agent, "keys"))

    async def add_key(self, agent: str, public_key: str, *, idempotency_key: str | None = None) -> Json:
        """Give an agent one more key, an OpenSSH public key line; gives the key."""
        path, body = path_of("agents", agent, "keys"), {"public_key": public_key}
        return await self._http.record(
            "key", HttpRequest("POST", path, body, idempotency_key=idempotency_key)
        )

    async def revoke_key(self, agent: str, key: str) -> Json:
        """Refuse a key from now on and close the connections it opened; `key` is its `id`."""
        path = path_of("agents", agent, "keys", key)
        return await self._http.record("key", HttpRequest("PUT", path, {"status": "revoked"}))

    async def delete_key(self, agent: str, key: str) -> None:
        """Forget a key; `key` is its `id`."""
        await self._http.ask(HttpRequest("DELETE", path_of("agents", agent, "keys", key)))

    # What was used, and who did what.

    async def metrics(self, tenant: str) -> Json:
        """What a tenant has and uses now and in this month, and its `limits`. Raises forbidden."""
        return await self._http.answer(HttpRequest("GET", path_of("tenants", tenant, "metrics")))

    async def usage(self, start: str | None = None, end: str | None = None) -> Json:
        """The tenant's usage per UTC day: `metrics`, `totals`, and the plan's `limits`.

        Both ends are dates (2026-11-24) and belong to it; without them it is the last seven days.
        """
        query = {"start_date": start, "end_date": end}
        return await self._http.answer(HttpRequest("GET", path_of("usage-metrics"), query=query))

    async def billing(self) -> Json:
        """The current calendar month against the plan."""
        return await self._http.answer(HttpRequest("GET", path_of("usage-metrics", "billing")))

    async def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        most: int | None = None,
    ) -> list[Json]:
        """The audit's entries, the newest first: all of them, or the latest `most` that fit."""
        query = {"actor": actor, "action": action, "target": target}
        return await self._http.pages("entries", path_of("audit"), query, most=most)
