"""Manages the accounts of a NATS installation: the only holder of system-account credentials.

NATS believes whoever holds a user of the system account; it takes an older JWT as readily as a
newer one. So the store is the source of truth, and this makes NATS agree with it. In a cluster the
server that answers has done what was asked; the others follow within moments.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from artcafe.server.bus.accounts.jetstream import stream_usage
from artcafe.server.bus.accounts.operator import Operator, read_mark
from artcafe.server.bus.accounts.system_link import SystemLink, object_of, translated, unavailable
from artcafe.server.bus.nats.nkeys import read_token
from artcafe.server.domain.installation import Mark, too_many
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.bus import Reconciled
from artcafe.server.ports.installation import Survey
from artcafe.server.ports.stream_usage import StreamUsage

_log = logging.getLogger(__name__)


class Authority:
    """Tenants' accounts on a real NATS: ports.Accounts.

    One connection, which reconnects for ever. While NATS is away every call raises unavailable
    after a few seconds. What it asked for may have happened when NATS went away meanwhile.
    """

    def __init__(
        self,
        url: str,
        operator: Operator,
        *,
        open_seconds: float = 5.0,
        answer_seconds: float = 5.0,
        spare_seconds: int = 60,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the URL, or several of one cluster with commas between them.

        `open` waits `open_seconds` for a NATS that is starting, every question `answer_seconds`
        for its answer. `reconcile` spares accounts younger than `spare_seconds`. `tls` says whom to
        trust, as for NatsLink.
        """
        self._operator = operator
        self._spare_seconds = spare_seconds
        self._link = SystemLink(
            url, operator, open_seconds=open_seconds, answer_seconds=answer_seconds, tls=tls
        )

    async def __aenter__(self) -> "Authority":
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, and prove that this NATS is ours and keeps what it acknowledges.

        Raises BusRefusedError.
        """
        await self._link.open()

    async def close(self) -> None:
        """Close the connection. Closing twice is allowed."""
        await self._link.close()

    async def stream_usage(self) -> StreamUsage:
        """What the streams of all tenants hold. Raises unavailable."""
        with translated():
            return await stream_usage(self._link)

    async def push(self, tenant: TenantRules) -> None:
        """Create or update the tenant's account; nothing happens when it stands there as it should.

        Effective on live connections when it returns. Raises unavailable.
        """
        with translated():
            held = await self._link.held(self._operator.account_id(tenant))
            if held is None or not self._operator.same_account(tenant, held):
                await self._push(tenant, held)

    async def remove(self, tenant: TenantRules) -> None:
        """Delete the account with its streams: its connections end. Nothing happens when it is gone.

        Raises unavailable.
        """
        account = self._operator.account_id(tenant)
        with translated():
            held = await self._link.held(account)
            if held is not None:
                await self._delete(account)

    async def reconcile(
        self,
        tenants: Sequence[TenantRules],
        *,
        as_of: float | None = None,
        many: bool = False,
        whole: bool = True,
    ) -> Reconciled:
        """Push what NATS lacks or holds differently, delete what no tenant owns; what was done.

        `tenants` are all that existed at `as_of` (Unix seconds; now unless given), if they are `whole`; else
        no account that the seed in force signed is deleted. One that was younger than `spare_seconds` then,
        or made since, is spared: it may be a new tenant's. Of accounts that the seed in force signed none is
        deleted when they are too many, unless `many`: those of another seed open nothing. The installation's
        own accounts are left alone. Raises unavailable.
        """
        pushed = removed = kept = 0
        moment = self._operator.now() if as_of is None else as_of
        with translated():
            held = await self._every()
            accounts = len(held)
            for tenant in tenants:
                await asyncio.sleep(0)  # Checking signatures is work; let others have the loop.
                jwt = held.pop(self._operator.account_id(tenant), None)
                if jwt is None or not self._operator.same_account(tenant, jwt):
                    await self._push(tenant, jwt)
                    pushed += 1
            others = {account: jwt for account, jwt in held.items() if self._is_others(account, jwt, moment)}
            strangers = {account for account, jwt in others.items() if self._is_ours(jwt)}
            if not whole or (not many and too_many(len(strangers), accounts)):
                kept = len(strangers)
                others = {account: jwt for account, jwt in others.items() if account not in strangers}
            for account in others:
                await self._delete(account)
                removed += 1
        return Reconciled(pushed, removed, kept)

    async def mark(self) -> Mark | None:
        """The mark that NATS has under the seed in force. Raises unavailable."""
        with translated():
            jwt = await self._link.held(self._operator.installation_account(Mark("", 0))[0])
        return None if jwt is None else read_mark(read_token(jwt))

    async def put_mark(self, mark: Mark) -> None:
        """Give NATS this mark. Raises unavailable."""
        with translated():
            await self._change("$SYS.REQ.CLAIMS.UPDATE", self._operator.installation_account(mark)[1])

    async def survey(self, tenants: Sequence[TenantRules]) -> Survey:
        """What NATS holds beside these tenants' accounts and the installation's own: how many accounts that
        the seed in force signed, and the marks under other seeds. Where there are tenants, the young accounts
        that `reconcile` spares are not counted.

        Raises unavailable.
        """
        strangers, marks, moment = 0, [], self._operator.now()
        with translated():
            held = await self._every()
            for tenant in tenants:
                await asyncio.sleep(0)
                held.pop(self._operator.account_id(tenant), None)
            for account, jwt in held.items():
                await asyncio.sleep(0)
                if not self._is_ours(jwt):
                    marks += [mark] if (mark := read_mark(_claims(jwt))) else []
                elif account not in self._operator.own_accounts:
                    strangers += not tenants or self._is_others(account, jwt, moment)
        return Survey(strangers, marks)

    def _is_ours(self, jwt: str) -> bool:
        """Whether the seed in force signed it: else nobody can use the account."""
        return _claims(jwt).get("iss") == self._operator.signer

    def _is_others(self, account: str, jwt: str, moment: float) -> bool:
        """Whether it is neither the installation's own nor so young at the moment that it may be a new
        tenant's; one from far in the future is not young."""
        spare = self._spare_seconds
        young = spare > 0 and moment - spare < _issued(jwt) < self._operator.now() + spare
        return account not in self._operator.own_accounts and not young

    async def _push(self, tenant: TenantRules, held: str | None) -> None:
        jwt = self._operator.account_jwt(tenant, newer_than=0 if held is None else _issued(held))
        await self._change("$SYS.REQ.CLAIMS.UPDATE", jwt)

    async def _delete(self, account: str) -> None:
        # Streams first: asked about an account that it no longer has, NATS looks for it for half a second.
        answer = object_of(await self._link.ask(f"$JS.API.ACCOUNT.PURGE.{account}"))
        if "error" in answer:
            _log.error("NATS did not delete the streams of account %s: %s", account, answer["error"])
            raise unavailable("The streams of an account could not be deleted.")
        await self._change("$SYS.REQ.CLAIMS.DELETE", self._operator.deletion_jwt([account]))

    async def _change(self, subject: str, jwt: str) -> None:
        answer = object_of(await self._link.ask(subject, jwt.encode()))
        if "error" in answer or answer.get("data", {}).get("code") != 200:
            _log.error("NATS refused a change of accounts: %s", answer)
            if "no space left" in f"{answer.get('error')}":
                raise unavailable("The disk of the message bus is full.")
            raise unavailable("The message bus refused a change of accounts.")

    async def _every(self) -> dict[str, str]:
        """Every account that NATS holds, with its JWT: a message for each, then an empty one."""
        packed = await self._link.gather("$SYS.REQ.CLAIMS.PACK", lambda got: not got[-1])
        pairs = (message.decode().partition("|") for message in packed[:-1])
        return {account: jwt for account, _, jwt in pairs}


def _claims(jwt: str) -> dict[str, Any]:
    """What a JWT says that NATS holds; nothing for one that nobody signed."""
    try:
        return read_token(jwt)
    except ValueError:
        return {}


def _issued(jwt: str) -> int:
    """When it was issued; 0 where that is not said."""
    try:
        return int(_claims(jwt)["iat"])
    except (KeyError, TypeError, ValueError):
        return 0
