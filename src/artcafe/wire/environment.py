"""Environment variables by name: the platform's own, those of Kubernetes, and unknown ones."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping

PREFIX = "ARTCAFE_"

CLIENT = frozenset({"ARTCAFE_URL", "ARTCAFE_TENANT", "ARTCAFE_TOKEN", "ARTCAFE_AGENT", "ARTCAFE_KEY"})
"""What the command line reads and the server does not."""

BUILD = frozenset({"ARTCAFE_PLAIN"})
"""What only the build of the package reads."""

_LINK = re.compile(
    r"ARTCAFE(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|PORT_[0-9]{1,5}_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes made the variable, for a Service called artcafe or artcafe-something.

    Every container in the namespace of such a Service has them (Kubernetes documentation, "Service",
    section "Environment variables"), unless its pod says `enableServiceLinks: false`. One of them,
    ARTCAFE_PORT=tcp://10.96.12.1:8000, has the name of a setting.
    """
    if name.startswith(PREFIX) and name.endswith("_PORT") and _LINK_VALUE.match(value):
        return True
    return _LINK.fullmatch(name) is not None


def unknown(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    """A line for each unknown variable with our prefix, with the nearest known name."""
    strangers = (
        name
        for name, value in environment.items()
        if (upper := name.upper()).startswith(PREFIX)
        and upper not in known
        and not is_service_link(upper, value)
    )
    return [_line(name, known) for name in sorted(strangers)]


def _line(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name.upper(), sorted(known), 1)
    return f"{name}: no such setting" + (f"; did you mean {nearest[0]}?" if nearest else "")
