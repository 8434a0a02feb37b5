"""Where an agent connects to, and the name that the server must use for itself there."""

import ipaddress
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
class Endpoint:
    """One agent's WebSocket address.

    `server` is what a challenge must name: `wss://host[:port]`, in lower case, the default port left
    out. `local` tells that the host is this machine, which no proxy can reach.
    """

    url: str
    server: str
    tenant: str
    agent: str
    secure: bool
    local: bool

    @classmethod
    def parse(cls, url: str, *, tenant: str, agent: str) -> "Endpoint":
        """Read the address of a platform: http, https, ws or wss, with any path.

        A path in front of `/api/v1` is kept, for a platform behind a prefix; what follows it is
        replaced. Raises validation_failed.
        """
        if _NAME.fullmatch(tenant) is None or _NAME.fullmatch(agent) is None:
            raise _invalid("A tenant and an agent are named by 1 to 64 letters, digits, _ and -.")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _invalid("The address is not a URL.") from error
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not host:
            raise _invalid("The address begins with ws://, wss://, http:// or https:// and names a host.")
        if parts.username is not None or parts.query or parts.fragment:
            raise _invalid("The address holds no user name, no query and no fragment: the key is the login.")
        server = f"{scheme}://{_written(host)}"
        if port is not None and port != _DEFAULT_PORTS[scheme]:
            server += f":{port}"
        prefix = parts.path.partition(_API)[0].rstrip("/")
        return cls(
            url=f"{server}{prefix}{_API}/ws/agent/{agent}?tenant_id={tenant}",
            server=server,
            tenant=tenant,
            agent=agent,
            secure=scheme == "wss",
            local=_is_local(host),
        )


def _written(host: str) -> str:
    """The host as it stands in a URL: IPv6 in brackets, other scripts in their ASCII form (RFC 3490)."""
    if ":" in host:
        return f"[{host}]"
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise _invalid("The host of the address is not one.") from error


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _invalid(message: str) -> ArtcafeError:
    return ArtcafeError(Code.validation_failed, message)
