"""The parts of a nats-server configuration for a cluster and for TLS (docs.nats.io, "Clustering")."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROUTE_USER = "artcafe"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files on the server's machine: its certificate and key, and whom it trusts, for routes."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class Node:
    """One server of a cluster: its name, and where it listens for clients and for the others, `host:port`."""

    name: str
    listen: str
    routes: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """All servers of one, and the secret by which they know each other."""

    nodes: Sequence[Node]
    secret: str
    name: str = "artcafe"


def tls_lines(tls: Tls, *, mutual: bool = False, indent: str = "") -> list[str]:
    """A `tls` block; `mutual` asks the other side for a certificate, too."""
    lines = [
        "tls {",
        f"  cert_file: {quoted(str(tls.certificate))}",
        f"  key_file: {quoted(str(tls.key))}",
        f"  ca_file: {quoted(str(tls.ca))}",
        *(["  verify: true"] if mutual else []),
        '  min_version: "1.2"',
        "}",
    ]
    return [indent + line for line in lines]


def cluster_lines(cluster: Cluster, node: Node, tls: Tls | None) -> list[str]:
    """The `cluster` block of one node. It holds the secret."""
    others = [other for other in cluster.nodes if other is not node]
    routes = [
        f"    {quoted(f'nats-route://{ROUTE_USER}:{cluster.secret}@{other.routes}')}" for other in others
    ]
    return [
        "cluster {",
        f"  name: {quoted(cluster.name)}",
        f"  listen: {quoted(node.routes)}",
        "  authorization {",
        f"    user: {quoted(ROUTE_USER)}",
        f"    password: {quoted(cluster.secret)}",
        "    timeout: 3",
        "  }",
        *(tls_lines(tls, mutual=True, indent="  ") if tls is not None else []),
        "  routes: [",
        *routes,
        "  ]",
        "}",
        # `nats-server --signal ldm`: clients are sent to the others before it stops.
        'lame_duck_grace_period: "2s"',
        'lame_duck_duration: "30s"',
    ]


def quoted(text: str) -> str:
    """A string of a NATS configuration. Raises ValueError for what could end it."""
    if not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError(
            "A value of the NATS configuration holds a quote, a backslash or a control character."
        )
    return f'"{text}"'
