"""Idempotency-Key: what is asked for twice is done once (draft-ietf-httpapi-idempotency-key-header-07)."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from artcafe.server.api.deps import Cases, UseCases
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.ports.records import Answer
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

KEPT_SECONDS = 24 * 60 * 60
"""How long an answer is given again."""

CLAIM_SECONDS = 60
"""How long a request that does not end keeps its key: its server may have died under it."""

MOST_BYTES = 131_072
"""The largest body that comes with a key: its answer has to fit into one item of the store."""

M = TypeVar("M", bound=BaseModel)


class _Kept(msgspec.Struct):
    etag: str | None
    body: msgspec.Raw


class Once:
    """One creation, done once per key. Without the header it is just done.

    The answer is kept sealed under the key itself, since it may show a private key. A request that
    failed keeps nothing: it may be made again.
    """

    def __init__(self, cases: UseCases, place: str, key: str | None) -> None:
        self._cases = cases
        self._place = place
        self._key = key

    async def __call__(
        self,
        who: Human | User,
        body: BaseModel,
        response: Response,
        kind: type[M],
        create: Callable[[], Awaitable[M]],
    ) -> M:
        """The answer of `create`, or the one it gave before to the same user, key and body.

        Raises idempotency_mismatch for another body, conflict while the first request is worked on.
        """
        if self._key is None:
            return await create()
        tenant, user = (who.tenant, who.user) if isinstance(who, Human) else (TenantId(""), who.id)
        text = body.model_dump_json().encode()
        if len(text) > MOST_BYTES:
            raise ArtcafeError(
                Code.too_large, f"With an Idempotency-Key a body has {MOST_BYTES} bytes at most."
            )
        digest = hashlib.sha256(self._place.encode() + b"\n" + text).hexdigest()
        now = int(self._cases.clock.now())
        known = await self._cases.answers.claim(tenant, user, self._key, digest, now + CLAIM_SECONDS)
        if known is not None:
            return self._again(known, digest, response, kind)
        return await self._first(tenant, user, digest, response, create)

    def _again(self, known: Answer, digest: str, response: Response, kind: type[M]) -> M:
        assert self._key is not None
        if known.digest != digest:
            raise ArtcafeError(Code.idempotency_mismatch)
        if known.sealed is None:
            raise ArtcafeError(
                Code.conflict, "The first request with this key is still worked on.", retry_after=1.0
            )
        kept = msgspec.json.decode(self._cases.sealer.open(self._key, known.sealed), type=_Kept)
        if kept.etag is not None:
            response.headers["etag"] = kept.etag
        response.headers["idempotency-replayed"] = "true"
        return kind.model_validate_json(bytes(kept.body))

    async def _first(
        self,
        tenant: TenantId,
        user: UserId,
        digest: str,
        response: Response,
        create: Callable[[], Awaitable[M]],
    ) -> M:
        assert self._key is not None
        try:
            made = await create()
        except BaseException:
            await self._cases.answers.release(tenant, user, self._key)
            raise
        kept = _Kept(response.headers.get("etag"), msgspec.Raw(made.model_dump_json().encode()))
        answer = Answer(digest, self._cases.sealer.seal(self._key, msgspec.json.encode(kept)))
        expires = int(self._cases.clock.now()) + KEPT_SECONDS
        await self._cases.answers.keep(tenant, user, self._key, answer, expires)
        return made


async def _once(
    request: Request,
    cases: Cases,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[!-~]+$",
            description="A name of yours for this request. Sent again with the same body within a day, "
            "it is answered as the first time, and nothing is made twice.",
            examples=["6f1c2f4e-planner"],
        ),
    ] = None,
) -> Once:
    return Once(cases, request.url.path, idempotency_key)


CreateOnce = Annotated[Once, Depends(_once)]
