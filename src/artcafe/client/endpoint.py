"""The address a client connects to, and the server name that the challenge must show there."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_API = "/api/v1"
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class WebSocketAddress:
    """A WebSocket address of a platform.

    `server` is what a challenge must name: `wss://host[:port]`, in lower case, the default port left
    out.
    """

    url: str
    server: str
    secure: bool

    @classmethod
    def of(cls, url: str, path: str) -> "WebSocketAddress":
        """A path under `/api/v1` of the platform at this address: http, https, ws or wss, with any path.

        A path in front of `/api/v1` is kept, for a platform behind a prefix; what follows it is
        replaced. Raises validation_failed.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _invalid("The address is not a URL.") from error
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not host:
            raise _invalid("The address begins with ws://, wss://, http:// or https:// and names a host.")
        if parts.username is not None or parts.query or parts.fragment:
            raise _invalid("The address holds no user name, no query and no fragment.")
        server = f"{scheme}://{_written(host)}"
        if port is not None and port != _DEFAULT_PORTS[scheme]:
            server += f":{port}"
        prefix = parts.path.partition(_API)[0].rstrip("/")
        return WebSocketAddress(
            url=f"{server}{prefix}{_API}{path}",
            server=server,
            secure=scheme == "wss",
        )


@dataclass(frozen=True, slots=True)
class Endpoint(WebSocketAddress):
    """One agent's address."""

    tenant: str
    agent: str

    @classmethod
    def parse(cls, url: str, *, tenant: str, agent: str) -> "Endpoint":
        """Read the address of a platform, as `Address.of` does. Raises validation_failed."""
        if _NAME.fullmatch(tenant) is None or _NAME.fullmatch(agent) is None:
            raise _invalid("A tenant and an agent are named by 1 to 64 letters, digits, _ and -.")
        place = WebSocketAddress.of(url, f"/ws/agent/{agent}?tenant_id={tenant}")
        return cls(
            url=place.url,
            server=place.server,
            secure=place.secure,
            tenant=tenant,
            agent=agent,
        )


def _written(host: str) -> str:
    """The host as it stands in a URL: IPv6 in brackets, other scripts in their ASCII form (RFC 3490)."""
    if ":" in host:
        return f"[{host}]"
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise _invalid("The host of the address is not one.") from error


def _invalid(message: str) -> ArtcafeError:
    return ArtcafeError(Code.validation_failed, message)
