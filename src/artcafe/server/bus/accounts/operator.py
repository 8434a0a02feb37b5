"""One installation's identity in NATS, derived from one secret.

Nothing secret about accounts is stored anywhere: every key comes from the installation's 32 bytes
by HKDF, except the users', which are made anew in each process. The same secret always yields the
same operator and the same accounts, so any server process can speak for the installation.

The JWTs follow github.com/nats-io/jwt version 2; see docs.nats.io, "Decentralized JWT
Authentication/Authorization".
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from artcafe.server.bus.accounts.cluster import Cluster, Node, Tls, cluster_lines, quoted, tls_lines
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.nkeys import KeyPair, NkeyKind, read_token, write_token
from artcafe.server.domain.durable_channels import MOST_CHANNELS
from artcafe.server.domain.installation import Mark
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.clock import Clock
from artcafe.wire import subjects

SEED_BYTES = 32

CONTROL = "artcafe-control"
"""The account on which the server processes talk to each other."""

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""The largest NATS message: a client's largest payload and the envelope around it fit with room."""

_INBOX = "_INBOX.>"
_INSTALLATION, _STAMP = "installation:", "stamp:"
_UNLIMITED = -1

_TENANT_SUBJECTS = [
    f"{space}.>" for space in (subjects.SHARED, subjects.DIRECT, subjects.INBOX, subjects.RESERVED)
]
_CONTROL_SUBJECTS = ["control.>"]
_SYSTEM_REQUESTS = [
    "$SYS.REQ.CLAIMS.*",
    "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
    "$SYS.REQ.SERVER.PING.*",
    "$JS.API.ACCOUNT.PURGE.*",
]

_STREAM_READS = [
    "$JS.API.DIRECT.GET.*",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.CONSUMER.MSG.NEXT.*.*",
    "$JS.ACK.>",
]
_INBOX_WRITES = [
    f"{subjects.QUEUED}.*.*",
    f"{subjects.NOTICES}.*.*",
    "$JS.API.STREAM.PURGE.INBOX",
    "$JS.API.STREAM.MSG.DELETE.INBOX",
]
_INBOX_NOTICES = f"{subjects.NOTICES}.>"
_STREAM_CHANGES = [
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.CREATE.*",
    "$JS.API.STREAM.UPDATE.*",
    "$JS.API.STREAM.DELETE.*",
    "$JS.API.STREAM.MSG.DELETE.*",
    "$JS.API.STREAM.PURGE.*",
    "$JS.API.CONSUMER.CREATE.>",
    "$JS.API.CONSUMER.INFO.*.*",
    "$JS.API.CONSUMER.LIST.*",
    "$JS.API.CONSUMER.DELETE.*.*",
]

_CONSUMERS = 4096
"""Consumers of one account's streams, in all."""


class Operator:
    """Mints everything that NATS asks of an operator. Pure: it signs, it connects to nothing."""

    def __init__(self, seed: bytes, clock: Clock) -> None:
        """Take the installation's secret. Raises ValueError when it is not 32 bytes."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"The installation's secret is {SEED_BYTES} bytes.")
        self._seed = seed
        self._clock = clock
        self._identity = KeyPair.derive(seed, "operator", NkeyKind.operator)
        self._signer = KeyPair.derive(seed, "operator-signing", NkeyKind.operator)
        self._system = self._account_keys("system")
        self._control = self._account_keys("control")
        self._installation = self._account_keys("installation")

    @property
    def public(self) -> str:
        """The operator's public key: the name of this installation in NATS."""
        return self._identity.public

    @property
    def signer(self) -> str:
        """The public key that signs the accounts."""
        return self._signer.public

    def now(self) -> int:
        """The time in Unix seconds, as tokens have it."""
        return int(self._clock.now())

    def operator_jwt(self) -> str:
        """The token a nats-server of this installation trusts. Only signing keys may sign for it."""
        nats = {
            "signing_keys": [self._signer.public],
            "system_account": self._system[0].public,
            "strict_signing_key_usage": True,
            "type": "operator",
            "version": 2,
        }
        return write_token(self._identity, self._claims("artcafe", self._identity.public, nats))

    def system_account(self) -> tuple[str, str]:
        """The (public key, JWT) of the account that sees $SYS."""
        account, signer = self._system
        return account.public, write_token(self._signer, self._account_claims(account, signer, "SYS", {}))

    def control_account(self) -> tuple[str, str]:
        """The (public key, JWT) of the account on which server processes talk to each other."""
        account, signer = self._control
        return account.public, write_token(self._signer, self._account_claims(account, signer, CONTROL, {}))

    def installation_account(self, mark: Mark) -> tuple[str, str]:
        """The (public key, JWT) of the account that nobody connects to, and whose tags are the mark."""
        account, signer = self._installation
        claims = self._account_claims(account, signer, "artcafe-installation", {})
        claims["nats"]["limits"]["conn"] = 0
        claims["nats"]["tags"] = [f"{_INSTALLATION}{mark.id}", f"{_STAMP}{mark.stamp}"]
        return account.public, write_token(self._signer, claims)

    @property
    def own_accounts(self) -> frozenset[str]:
        """The public keys of the accounts that are no tenant's."""
        return frozenset(keys[0].public for keys in (self._system, self._control, self._installation))

    def account_id(self, tenant: TenantRules) -> str:
        """The public key of a tenant's account. A tenant made again under its id has another one."""
        return self._tenant_keys(tenant)[0].public

    def account_jwt(self, tenant: TenantRules, *, newer_than: int = 0) -> str:
        """The JWT of a tenant's account, issued now, and in any case after `newer_than` (Unix seconds).

        When servers of a cluster compare what they hold, the newer JWT wins.
        """
        claims = self._tenant_claims(tenant)
        claims["iat"] = max(claims["iat"], newer_than + 1)
        return write_token(self._signer, claims)

    def same_account(self, tenant: TenantRules, jwt: str) -> bool:
        """Tell whether a JWT, whenever issued, says what `account_jwt` says now."""
        try:
            held = read_token(jwt)
        except ValueError:
            return False
        moment = {"iat": 0, "jti": ""}
        return held | moment == self._tenant_claims(tenant) | moment | {"iss": self._signer.public}

    def deletion_jwt(self, accounts: Sequence[str]) -> str:
        """The order to delete accounts, given by their public keys."""
        nats = {"accounts": list(accounts), "type": "generic", "version": 2}
        return write_token(self._signer, self._claims("delete", self._signer.public, nats))

    def credentials(self, tenant: TenantRules) -> NatsCredentials:
        """The gateway's user in a tenant's account: its messages, what it has stored, what consumers hand
        out, and nothing else. It cannot make, change, purge or delete a stream or a consumer, nor remove a
        message, but for those in inboxes."""
        permissions = _permissions(
            [
                *_TENANT_SUBJECTS,
                _INBOX,
                f"{subjects.STORED}.>",
                f"{subjects.DEAD}.>",
                *_STREAM_READS,
                *_INBOX_WRITES,
            ],
            [*_TENANT_SUBJECTS, _INBOX_NOTICES],
        )
        return NatsCredentials(*self._tenant_keys(tenant), self._clock, "gateway", permissions)

    def streams_credentials(self, tenant: TenantRules) -> NatsCredentials:
        """The user who makes, changes and deletes the streams and consumers of a tenant's account, and
        removes messages. It reads and writes none."""
        permissions = _permissions(_STREAM_CHANGES, [])
        return NatsCredentials(*self._tenant_keys(tenant), self._clock, "streams", permissions)

    def control_credentials(self) -> NatsCredentials:
        """A server process's user in the control account."""
        permissions = _permissions(_CONTROL_SUBJECTS, _CONTROL_SUBJECTS)
        return NatsCredentials(*self._control, self._clock, "control", permissions)

    def system_credentials(self) -> NatsCredentials:
        """The authority's user in the system account: accounts, streams' end and the servers' state."""
        permissions = _permissions(_SYSTEM_REQUESTS, [])
        return NatsCredentials(*self._system, self._clock, "authority", permissions)

    def cluster(self, nodes: Sequence[Node]) -> Cluster:
        """These servers as one cluster, whose secret comes from the installation's."""
        return Cluster(nodes, hashlib.sha256(b"artcafe routes\n" + self._seed).hexdigest())

    def node_config(self, cluster: Cluster, node: Node, *, data_dir: Path, tls: Tls | None = None) -> str:
        """The configuration of one server of a cluster. It holds the cluster's secret, and no other."""
        alone = self.server_config(server_name=node.name, listen=node.listen, data_dir=data_dir, tls=tls)
        return alone + "\n".join(cluster_lines(cluster, node, tls)) + "\n"

    def server_config(
        self,
        *,
        server_name: str,
        listen: str,
        data_dir: Path,
        monitor: str | None = None,
        tls: Tls | None = None,
    ) -> str:
        """The configuration of a nats-server of this installation. It holds no secret.

        `listen` and `monitor` are `host:port`, a port of -1 is any free one. `data_dir` is an
        absolute path on the server's machine, for accounts and streams. Everything a stream
        acknowledges is on disk: `sync_interval: always`.
        """
        system, system_jwt = self.system_account()
        control, control_jwt = self.control_account()
        lines = [
            "# Written by `artcafe nats-config`. Run it with `nats-server -c`.",
            f"server_name: {quoted(server_name)}",
            f"listen: {quoted(listen)}",
            *([f"http: {quoted(monitor)}"] if monitor is not None else []),
            *(tls_lines(tls) if tls is not None else []),
            f"max_payload: {MAX_PAYLOAD_BYTES}",
            f"operator: {quoted(self.operator_jwt())}",
            f"system_account: {system}",
            "resolver {",
            "  type: full",
            f"  dir: {quoted(str(data_dir / 'accounts'))}",
            "  allow_delete: true",
            "  hard_delete: true",
            '  interval: "2m"',
            # How long a login to an account nobody knows waits.
            '  timeout: "500ms"',
            "}",
            "resolver_preload {",
            f"  {system}: {quoted(system_jwt)}",
            f"  {control}: {quoted(control_jwt)}",
            "}",
            "jetstream {",
            f"  store_dir: {quoted(str(data_dir / 'streams'))}",
            "  sync_interval: always",
            "  max_memory_store: 256MB",
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _account_keys(self, purpose: str) -> tuple[KeyPair, KeyPair]:
        """An account's own key, which only names it, and the one that signs its users."""
        return (
            KeyPair.derive(self._seed, f"account/{purpose}", NkeyKind.account),
            KeyPair.derive(self._seed, f"account-signing/{purpose}", NkeyKind.account),
        )

    def _tenant_keys(self, tenant: TenantRules) -> tuple[KeyPair, KeyPair]:
        # A tenant id holds no slash, so no two tenants share a purpose, nor does one share "system".
        return self._account_keys(f"{tenant.id}/{tenant.account}")

    def _tenant_claims(self, tenant: TenantRules) -> dict[str, Any]:
        account, signer = self._tenant_keys(tenant)
        # Each stream reserves its own bound. A limit of the account would be reserved as a whole, and streams
        # beyond it are not there after a restart of NATS.
        streams = {
            "mem_storage": 0,
            "disk_storage": _UNLIMITED,
            "disk_max_stream_bytes": _UNLIMITED,
            "max_bytes_required": True,
            "streams": MOST_CHANNELS + 1,  # And the inboxes.
            "consumer": _CONSUMERS,
        }
        claims = self._account_claims(account, signer, tenant.id, streams)
        if tenant.suspended:
            claims["nats"]["limits"]["conn"] = 0  # Who is connected is cut, and nobody can connect.
        claims["nats"]["tags"] = [f"tenant:{tenant.id}"]
        return claims

    def _account_claims(
        self, account: KeyPair, signer: KeyPair, name: str, streams: Mapping[str, int]
    ) -> dict[str, Any]:
        limits = {
            "subs": _UNLIMITED,
            "data": _UNLIMITED,
            "payload": _UNLIMITED,
            "imports": _UNLIMITED,
            "exports": _UNLIMITED,
            "wildcards": True,
            "conn": _UNLIMITED,
            "leaf": 0,
            **streams,
        }
        nats = {"limits": limits, "signing_keys": [signer.public], "type": "account", "version": 2}
        return self._claims(name, account.public, nats)

    def _claims(self, name: str, subject: str, nats: dict[str, Any]) -> dict[str, Any]:
        return {"iat": self.now(), "name": name, "sub": subject, "nats": nats}


def read_mark(claims: Mapping[str, Any]) -> Mark | None:
    """The mark in the claims of an account's JWT; None for one that has none."""
    try:
        tags = [str(tag) for tag in claims["nats"].get("tags", ())]
        [installation] = [tag.removeprefix(_INSTALLATION) for tag in tags if tag.startswith(_INSTALLATION)]
        [stamp] = [int(tag.removeprefix(_STAMP)) for tag in tags if tag.startswith(_STAMP)]
    except (KeyError, TypeError, ValueError):
        return None
    return Mark(installation, stamp)


def _permissions(publish: list[str], subscribe: list[str]) -> dict[str, Any]:
    """Allow these and nothing else: an allow list denies the rest (docs.nats.io, Authorization)."""
    return {"pub": {"allow": publish}, "sub": {"allow": subscribe}}
