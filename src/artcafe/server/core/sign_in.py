"""Sign-in at the embedded issuer: from a proof of ownership of the machine to tokens.

Authorization codes and refresh tokens are sealed, so nothing has to be remembered but which of them were
used; that the store knows, for all processes. A code or refresh token that comes twice has been stolen
from one of the two who brought it, and ends every refresh token that came of it (RFC 9700 sections 2.1.1 and
4.14.2). Access tokens that came of it stay good until they expire (rules.ACCESS_SECONDS): whoever checks one
asks no store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

import msgspec
from msgspec import Struct

from artcafe.server.domain import sign_in as rules
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.principal import User
from artcafe.server.domain.sign_in import Decision, OAuthError, SignInRequest
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.identity import Issuer, Sealer
from artcafe.server.ports.records import DeviceAnswer, SignInRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_TRIES = 5
"""How often a user code is drawn anew when one is in use: there are 20^8."""


class _Who(Struct):
    subject: str
    email: str
    tenant: str | None


class _Grant(Struct):
    """An authorization code. Its id names the family of all tokens that come of it."""

    id: str
    expires: int
    who: _Who
    redirect_uri: str
    challenge: str
    scope: str
    nonce: str | None


class _Refresh(Struct):
    """A refresh token; one of its family is good at a time."""

    id: str
    family: str
    expires: int
    who: _Who
    scope: str


class _Waiting(Struct):
    """A device code."""

    id: str
    expires: int
    user_code: str
    scope: str


S = TypeVar("S", _Grant, _Refresh, _Waiting)


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """The token response; `expires_in` is the access token's, in seconds."""

    access_token: str
    refresh_token: str
    scope: str
    id_token: str | None
    expires_in: int = rules.ACCESS_SECONDS


@dataclass(frozen=True, slots=True)
class Device:
    """The codes of a device: the one to show, and the one to poll with."""

    device_code: str
    user_code: str


class SignIn:
    """The use cases of the embedded issuer's endpoints."""

    def __init__(
        self,
        *,
        issuer: Issuer,
        sealer: Sealer,
        records: SignInRecords,
        clock: Clock,
        random: Callable[[int], bytes],
        new_id: Callable[[], str],
    ) -> None:
        self._issuer = issuer
        self._sealer = sealer
        self._records = records
        self._clock = clock
        self._random = random
        self._new_id = new_id

    async def answer(self, challenge: str, expires: int) -> bool:
        """Take a challenge that is good until `expires`; False when it was answered before.

        The caller has checked the proof.
        """
        return await self._records.spend(f"challenge {challenge}", expires)

    async def proof(self, user: User) -> str:
        """A sign-in code: good once, within rules.PROOF_SECONDS. The caller has checked who asks."""
        code = rules.spelled(self._random(rules.PROOF))
        who = msgspec.json.encode(_Who(user.id, user.email, user.hint)).decode()
        await self._records.keep(_digest(code), who, self._until(rules.PROOF_SECONDS))
        return code

    async def authorize(self, wanted: SignInRequest, proof: str) -> str:
        """An authorization code for the client. Raises unauthorized for a sign-in code that is not good."""
        who = await self._proven(proof)
        return self._seal(
            _Grant(
                self._new_id(),
                self._until(rules.CODE_SECONDS),
                who,
                wanted.redirect_uri,
                wanted.challenge,
                wanted.scope,
                wanted.nonce,
            )
        )

    async def exchange(self, code: str, redirect_uri: str, verifier: str) -> TokenResponse:
        """Tokens for an authorization code. Raises OAuthError(invalid_grant)."""
        grant = self._open(_Grant, code)
        if grant is None or grant.redirect_uri != redirect_uri or not rules.proves(verifier, grant.challenge):
            raise _invalid_grant()
        await self._once(grant.id, grant.id, grant.expires)
        return self._tokens(grant.who, grant.scope, grant.id, grant.nonce, self._until(rules.SESSION_SECONDS))

    async def refresh(self, token: str) -> TokenResponse:
        """New tokens for a refresh token, which is spent by it. Raises OAuthError(invalid_grant)."""
        held = self._open(_Refresh, token)
        if held is None or await self._records.spent(_ended(held.family)):
            raise _invalid_grant()
        await self._once(held.id, held.family, held.expires)
        return self._tokens(held.who, held.scope, held.family, None, held.expires)

    async def revoke(self, token: str) -> None:
        """End the family of a refresh token; what is none is over already (RFC 7009 section 2.2)."""
        held = self._open(_Refresh, token)
        if held is not None:
            await self._end(held.family)

    async def begin_device(self, scope: str) -> Device:
        """Let a device wait for its human (RFC 8628 section 3.2)."""
        expires = self._until(rules.DEVICE_SECONDS)
        for _ in range(_TRIES):
            user_code = rules.spelled(self._random(rules.USER_CODE))
            if await self._records.wait(user_code, expires):
                return Device(self._seal(_Waiting(self._new_id(), expires, user_code, scope)), user_code)
        raise ArtcafeError(Code.unavailable, "Too many devices wait.")

    async def decide_device(self, user_code: str, proof: str, *, allowed: bool) -> None:
        """Allow a device, or deny it. Raises unauthorized for the sign-in code, not_found for the device."""
        code = rules.typed(user_code, rules.USER_CODE)
        answer = None if code is None else await self._records.device(code)
        if code is None or answer is None or answer.decision is not Decision.pending:
            raise ArtcafeError(Code.not_found, "No device waits under this code. Codes live ten minutes.")
        who = await self._proven(proof)
        decision = Decision.allowed if allowed else Decision.denied
        by = msgspec.json.encode(who).decode()
        if not await self._records.decide(code, DeviceAnswer(decision, by)):
            raise ArtcafeError(Code.not_found, "Somebody else was faster with this code.")

    async def poll_device(self, device_code: str) -> TokenResponse:
        """Tokens for a device that was allowed. Raises OAuthError (RFC 8628 section 3.5)."""
        waiting = self._open(_Waiting, device_code)
        answer = None if waiting is None else await self._records.device(waiting.user_code)
        if waiting is None or answer is None:
            raise OAuthError("expired_token", "The device code is not good, or its time is over.")
        if answer.decision is Decision.pending:
            raise OAuthError("authorization_pending", "Nobody has allowed this device yet.")
        if answer.decision is Decision.denied:
            raise OAuthError("access_denied", "The device was denied.")
        await self._once(waiting.id, waiting.id, waiting.expires)
        who = msgspec.json.decode(answer.by, type=_Who)
        return self._tokens(who, waiting.scope, waiting.id, None, self._until(rules.SESSION_SECONDS))

    async def _proven(self, proof: str) -> _Who:
        """The owner of a sign-in code, which is spent. Raises unauthorized."""
        code = rules.typed(proof, rules.PROOF)
        who = None if code is None else await self._records.take(_digest(code))
        if who is None:
            raise ArtcafeError(
                Code.unauthorized,
                "The sign-in code is not good, was used, or is older than five minutes.",
                reason=LoginRefusal.bad_code,
            )
        return msgspec.json.decode(who, type=_Who)

    async def _once(self, code: str, family: str, expires: int) -> None:
        """Spend a code or token; one that was spent ends its family. Raises OAuthError(invalid_grant)."""
        if not await self._records.spend(code, expires):
            await self._end(family)
            raise _invalid_grant()

    async def _end(self, family: str) -> None:
        await self._records.spend(_ended(family), self._until(rules.SESSION_SECONDS))

    def _tokens(self, who: _Who, scope: str, family: str, nonce: str | None, ends: int) -> TokenResponse:
        access = self._issuer.mint(
            who.subject, email=who.email or None, lifetime_seconds=rules.ACCESS_SECONDS, tenant=who.tenant
        )
        identity = None
        if "openid" in scope.split():
            email = who.email if "email" in scope.split() else None
            identity = self._issuer.identify(
                who.subject, email=email, nonce=nonce, lifetime_seconds=rules.ACCESS_SECONDS
            )
        refresh = self._seal(_Refresh(self._new_id(), family, ends, who, scope))
        return TokenResponse(access, refresh, scope, identity)

    def _until(self, seconds: int) -> int:
        return int(self._clock.now()) + seconds

    def _seal(self, held: Struct) -> str:
        # In the alphabet that needs no escape in a URL.
        sealed = self._sealer.seal(type(held).__name__, msgspec.json.encode(held))
        return sealed.translate(str.maketrans("+/", "-_", "="))

    def _open(self, kind: type[S], sealed: str) -> S | None:
        """The content sealed as this kind, if it has not expired."""
        plain = sealed.translate(str.maketrans("-_", "+/"))
        try:
            held = msgspec.json.decode(
                self._sealer.open(kind.__name__, plain + "=" * (-len(plain) % 4)), type=kind
            )
        except ValueError:
            return None
        return held if held.expires > self._clock.now() else None


def _digest(code: str) -> str:
    """The stored digest of a sign-in code: nobody who reads it there can sign in."""
    return sha256(code.encode()).hexdigest()


def _ended(family: str) -> str:
    """The name under which the end of a family is remembered."""
    return f"family-{family}"


def _invalid_grant() -> OAuthError:
    return OAuthError("invalid_grant", "The code or token is not good, was used, or its time is over.")
