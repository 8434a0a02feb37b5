"""Management over REST: tenants, agents and their keys, channels. The SDK's only user of httpx."""

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, quote, urlsplit

import httpx

from artcafe.client.errors import of_response
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

Json = dict[str, Any]
"""A JSON object as the server sent it: what a newer server adds is kept."""

PREFIX = "/api/v1"


class UnreachableError(ArtcafeError):
    """Nothing listens at the address: the request was not sent. Trying again later is safe."""

    def __init__(self, url: str) -> None:
        super().__init__(Code.unavailable, f"Nothing answers at {url}.")
        self.url = url


class Rest:
    """Management calls as one human, over one pool of connections.

        async with Rest("https://pubsub.example.com", token, tenant="acme") as rest:
            await rest.create_agent(name="planner", public_key=line)

    `tenant` picks among the human's memberships; whoever has only one may leave it out. Answers are
    the JSON objects of docs/protocol.md. Every call raises ArtcafeError with the code that the server
    named, and UnreachableError when nothing answers; nothing is tried twice. `timeout` is in seconds and
    counts per request; `tls` replaces the system's certificate authorities.
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
        self.url = url.rstrip("/")
        parts = _parts(self.url)
        self._timeout = timeout
        headers = {"accept": "application/json", "user-agent": "artcafe-python"}
        if token is not None:
            headers["authorization"] = f"Bearer {_header_value(token, 'token')}"
        if tenant is not None:
            headers["x-tenant-id"] = _header_value(tenant, "tenant")
        if tls is None and parts.scheme == "https":
            tls = ssl.create_default_context()
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            # Without TLS a context that trusts nobody: loading the authorities takes httpx 30 ms.
            verify=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            # A proxy of the environment is for the world outside, not for this machine.
            trust_env=parts.hostname not in {"127.0.0.1", "localhost", "::1"},
        )

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection of the pool."""
        await self._http.aclose()

    async def answers(self) -> bool:
        """Tell whether anything listens there; needs no token."""
        try:
            await self._call("GET", _path("health"))
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

        `secret` is the content of `issuer/secret` in the data directory. Without `tenant` the token
        is the installation's first user's. Gives access_token, token_type, expires_in, user, tenant.
        """
        wanted = {"secret": secret, "tenant": tenant, "role": role, "email": email}
        answer = await self._object("POST", "/local/token", _given(wanted))
        if not isinstance(answer.get("access_token"), str):
            raise self._stranger()
        return answer

    async def tenants(self) -> list[Json]:
        """The tenants that the human belongs to."""
        return self._list(await self._call("GET", _path("tenants")))

    async def create_tenant(self, **fields: Any) -> Json:
        """Make a tenant with the caller as its owner: name, id?, admin_email?, subscription_tier?, ….

        Gives tenant_id, api_key, admin_token. Raises conflict when the id is taken.
        """
        return await self._object("POST", _path("tenants"), fields)

    async def tenant(self, tenant: str) -> Json:
        """One tenant. Raises not_found, also for a tenant the human does not belong to."""
        return await self._object("GET", _path("tenants", tenant))

    async def change_tenant(self, tenant: str, **fields: Any) -> Json:
        """Change the fields named, leave the others."""
        return await self._object("PUT", _path("tenants", tenant), fields)

    async def delete_tenant(self, tenant: str) -> None:
        """Delete a tenant with everything in it, at once and for ever."""
        await self._call("DELETE", _path("tenants", tenant))

    async def agents(self, status: str | None = None) -> list[Json]:
        """Every agent of the tenant in the server's order, whatever number of pages that takes."""
        return await self._pages("agents", {"status": status})

    async def create_agent(self, **fields: Any) -> Json:
        """Make an agent: name, id?, type?, public_key?, capabilities?, metadata?, ….

        Gives `agent`, and `private_key` (PEM) when no public key was sent: it is never shown again.
        """
        return await self._object("POST", _path("agents"), fields)

    async def agent(self, agent: str) -> Json:
        """One agent. Raises not_found."""
        return await self._part("agent", "GET", _path("agents", agent))

    async def change_agent(self, agent: str, **fields: Any) -> Json:
        """Change the fields named, leave the others; gives the agent."""
        return await self._part("agent", "PUT", _path("agents", agent), fields)

    async def delete_agent(self, agent: str) -> None:
        """Delete an agent; its connections are closed. Raises not_found."""
        await self._call("DELETE", _path("agents", agent))

    async def keys(self, agent: str) -> list[Json]:
        """The SSH keys of an agent, revoked ones included."""
        answer = await self._object("GET", _path("agents", agent, "keys"))
        return self._list(answer.get("keys"))

    async def add_key(self, agent: str, public_key: str) -> Json:
        """Give an agent one more key, an OpenSSH public key line; gives the key."""
        return await self._part("key", "POST", _path("agents", agent, "keys"), {"public_key": public_key})

    async def revoke_key(self, agent: str, key: str) -> Json:
        """Refuse a key from now on and close the connections it opened; `key` is its `id`."""
        return await self._part("key", "PUT", _path("agents", agent, "keys", key), {"status": "revoked"})

    async def delete_key(self, agent: str, key: str) -> None:
        """Forget a key; `key` is its `id`."""
        await self._call("DELETE", _path("agents", agent, "keys", key))

    async def channels(self) -> list[Json]:
        """Every channel of the tenant in the server's order, whatever number of pages that takes."""
        return await self._pages("channels", {})

    async def create_channel(self, **fields: Any) -> Json:
        """Make a channel: name, id?, description?, metadata?; gives the channel."""
        return await self._part("channel", "POST", _path("channels"), fields)

    async def channel(self, channel: str) -> Json:
        """One channel. Raises not_found."""
        return await self._part("channel", "GET", _path("channels", channel))

    async def delete_channel(self, channel: str) -> None:
        """Delete a channel. Raises not_found."""
        await self._call("DELETE", _path("channels", channel))

    async def publish(self, channel: str, data: Json) -> Json:
        """Send a JSON object into a channel; gives message_id and timestamp when the bus has it."""
        return await self._object("POST", _path("channels", channel, "messages"), data)

    async def _pages(self, noun: str, wanted: Mapping[str, str | None]) -> list[Json]:
        query = _given(wanted)
        items: list[Json] = []
        while True:
            page = await self._object("GET", _path(noun), query=query)
            items += self._list(page.get(noun))
            cursor = page.get("next_token")
            if not isinstance(cursor, str) or not cursor:
                return items
            query = {**query, "next_token": cursor}

    def _list(self, value: object) -> list[Json]:
        if not isinstance(value, list):
            raise self._stranger()
        return value

    async def _part(self, name: str, method: str, path: str, body: Json | None = None) -> Json:
        part = (await self._object(method, path, body)).get(name)
        if not isinstance(part, dict):
            raise self._stranger()
        return part

    async def _object(
        self, method: str, path: str, body: Json | None = None, query: Mapping[str, str] | None = None
    ) -> Json:
        answer = await self._call(method, path, body, query)
        if not isinstance(answer, dict):
            raise self._stranger()
        return answer

    async def _call(
        self, method: str, path: str, body: Json | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """One request; None for an answer without a body."""
        try:
            response = await self._http.request(method, self.url + path, json=body, params=query)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _unconnected(self.url, error) from error
        except httpx.TimeoutException as error:
            message = f"No answer within {self._timeout:g} seconds; whether it was done is not known."
            raise ArtcafeError(Code.unavailable, message) from error
        except httpx.HTTPError as error:
            message = "The connection to the server broke; whether it was done is not known."
            raise ArtcafeError(Code.unavailable, message) from error
        if not response.is_success:
            raise of_response(response.status_code, response.headers, response.content)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger() from error

    def _stranger(self) -> ArtcafeError:
        return ArtcafeError(Code.internal, f"What answers at {self.url} is not an ArtCafe platform.")


def _path(*segments: str) -> str:
    """A path under the prefix. A segment that would name another place is refused, not sent."""
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ArtcafeError(Code.bad_request, "An id has at least one letter or digit.")
    return "/".join((PREFIX, *(quote(segment, safe="") for segment in segments)))


def _parts(url: str) -> SplitResult:
    """Take a URL apart. Raises bad_request for one that no server can have."""
    try:
        parts = urlsplit(url)
        readable = httpx.URL(url).host and (parts.port is None or parts.port > 0)
    except (ValueError, httpx.InvalidURL) as error:
        raise ArtcafeError(Code.bad_request, "The address is not a URL.") from error
    if parts.scheme not in {"http", "https"} or not readable or not parts.hostname:
        raise ArtcafeError(Code.bad_request, "The address begins with http:// or https:// and names a host.")
    return parts


def _header_value(text: str, what: str) -> str:
    if not text or not all("!" <= character <= "~" for character in text):
        raise ArtcafeError(Code.bad_request, f"The {what} is empty or holds a character that none has.")
    return text


def _given(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def _unconnected(url: str, error: BaseException) -> ArtcafeError:
    """Tell a server that is away from one whose TLS is not as it should be: only the first comes back."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ArtcafeError(Code.unavailable, f"The certificate of {url} is not one this machine trusts.")
        if isinstance(cause, ssl.SSLError):
            return ArtcafeError(Code.unavailable, f"No TLS connection to {url} comes about.")
        cause = cause.__cause__ or cause.__context__
    return UnreachableError(url)
