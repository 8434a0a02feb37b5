"""Idempotency-Key: a repeated creation returns the stored answer
(draft-ietf-httpapi-idempotency-key-header-07)."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from artcafe.server.api.deps import ApiResources, Resources
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.ports.answers import Answer, Keep, Kept
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

KEPT_SECONDS = 24 * 60 * 60
"""How long an answer is given again."""

MOST_BYTES = 131_072
"""The largest body that comes with a key: its answer has to fit into one item of the store."""

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation(Generic[R, M]):
    """A creation of a route, and its response.

    `check` raises forbidden for who may not make it. `make` calls the use case, which has the answer made
    before it stores anything: a `view` that fails then fails a request that has changed nothing, and after
    the change nothing is left that could. `view` sets the headers of the answer.
    """

    kind: type[M]
    check: Callable[[], None]
    make: Callable[[Keep[R]], Awaitable[R]]
    view: Callable[[R], Awaitable[M]]


class _Kept(msgspec.Struct):
    etag: str | None
    body: msgspec.Raw


class Once:
    """One creation, done once per key. Without the header it is just done.

    The answer is stored in the creation's own transaction, sealed under the key itself, since it may show a
    private key. So whenever somebody asks again, after a refusal, a lost answer or at the same moment, either
    the thing was made and its answer is there, or neither.
    """

    def __init__(self, resources: ApiResources, place: str, key: str | None, response: Response) -> None:
        self._resources = resources
        self._place = place
        self._key = key
        self._response = response

    async def __call__(self, who: Human | User, body: BaseModel, creation: Creation[R, M]) -> M:
        """The answer to the creation, or the one that was given before to the same user, key and body.

        Raises idempotency_mismatch for another body, conflict for an answer that is kept and cannot be read,
        and whatever `check` and `make` raise.
        """
        key = self._key
        if key is None:
            return await self._first(creation, lambda _: None)
        tenant, user = (who.tenant, who.user) if isinstance(who, Human) else (TenantId(""), who.id)
        digest = self._digest(body)
        known = await self._resources.answers.get(tenant, user, key)
        if known is not None:
            return self._again(key, digest, known, creation)
        try:
            return await self._first(creation, lambda answer: self._kept(user, key, digest, answer))
        except ArtcafeError as error:
            known = await self._made_meanwhile(tenant, user, key)
            if known is None:
                raise error from None
            return self._again(key, digest, known, creation)

    def _digest(self, body: BaseModel) -> str:
        text = body.model_dump_json().encode()
        if len(text) > MOST_BYTES:
            raise ArtcafeError(
                Code.too_large, f"With an Idempotency-Key a body has {MOST_BYTES} bytes at most."
            )
        return hashlib.sha256(self._place.encode() + b"\n" + text).hexdigest()

    async def _first(self, creation: Creation[R, M], kept: Callable[[M], Kept | None]) -> M:
        answers: list[M] = []

        async def keep(made: R) -> Kept | None:
            answers.append(await creation.view(made))
            return kept(answers[-1])

        await creation.make(keep)
        return answers[-1]

    def _kept(self, user: UserId, key: str, digest: str, answer: BaseModel) -> Kept:
        kept = _Kept(self._response.headers.get("etag"), msgspec.Raw(answer.model_dump_json().encode()))
        sealed = self._resources.sealer.seal(key, msgspec.json.encode(kept))
        return Kept(user, key, digest, sealed, int(self._resources.clock.now()) + KEPT_SECONDS)

    async def _made_meanwhile(self, tenant: TenantId, user: UserId, key: str) -> Answer | None:
        """The stored response after a request failed: it was carried out all the same, or another request
        with the same key was faster. None also while that cannot be known."""
        try:
            return await self._resources.answers.get(tenant, user, key)
        except ArtcafeError:
            return None

    def _again(self, key: str, digest: str, known: Answer, creation: Creation[R, M]) -> M:
        creation.check()
        if known.digest != digest:
            raise ArtcafeError(Code.idempotency_mismatch)
        if known.sealed is None:
            raise ArtcafeError(
                Code.conflict, "The first request with this key is still worked on.", retry_after=1.0
            )
        try:
            kept = msgspec.json.decode(self._resources.sealer.open(key, known.sealed), type=_Kept)
            answer = creation.kind.model_validate_json(bytes(kept.body))
        except ValueError:
            raise ArtcafeError(
                Code.conflict,
                "This was done, and its answer can no longer be read: the secret of the installation, or its "
                "release, is another one since.",
            ) from None
        if kept.etag is not None:
            self._response.headers["etag"] = kept.etag
        self._response.headers["idempotency-replayed"] = "true"
        return answer


def key_header(description: str, *, example: str) -> Any:
    """The header by which a client names a request, for a parameter of that name."""
    return Header(
        min_length=1, max_length=255, pattern=r"^[!-~]+$", description=description, examples=[example]
    )


async def _once(
    request: Request,
    response: Response,
    resources: Resources,
    idempotency_key: Annotated[
        str | None,
        key_header(
            "A name of yours for this request. Sent again with the same body within a day, "
            "it is answered as the first time, and nothing is made twice.",
            example="6f1c2f4e-planner",
        ),
    ] = None,
) -> Once:
    return Once(resources, request.url.path, idempotency_key, response)


CreateOnce = Annotated[Once, Depends(_once)]
