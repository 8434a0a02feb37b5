"""Sends one management request, and maps its failures to errors.

The SDK's only user of httpx.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import httpx

from artcafe.client.authorities import system_tls
from artcafe.client.errors import OutcomeUnknownError, of_response
from artcafe.client.proxies import proxy_for
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

Json = dict[str, Any]
"""A JSON object as the server sent it: what a newer server adds is kept."""

Query = Mapping[str, str | bool | None]
"""What stands behind the question mark; what is None is left out."""

PREFIX = "/api/v1"

_FORM_SECONDS = 30.0
_PLACE = "artcafe.place"


async def _note_place(response: httpx.Response) -> None:
    """Note who answers while the connection is open; `_PLACE` has it from then on."""
    response.extensions[_PLACE] = response.extensions["network_stream"].get_extra_info("server_addr")


class UnreachableError(ArtcafeError):
    """Nothing listens at the address: the request was not sent. Trying again later is safe."""

    def __init__(self, url: str) -> None:
        super().__init__(Code.unavailable, f"Nothing answers at {url}.")
        self.url = url


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `path` is relative to the platform's address, made by `path_of`.

    `if_match` is the tag of the version that is to be changed; `idempotency_key` is a name of the
    caller's under which it is done once, however often it is asked for within a day.
    """

    method: str
    path: str
    body: Json | None = None
    query: Query | None = None
    if_match: str | None = None
    idempotency_key: str | None = None

    def headers(self) -> dict[str, str]:
        """Raises bad_request for what no header can hold."""
        said = {"if-match": self.if_match, "idempotency-key": self.idempotency_key}
        return {name: header_value(text, name) for name, text in said.items() if text is not None}


class Http:
    """Requests to one platform as one human, over one pool of connections; nothing is tried twice.

    Every request raises ArtcafeError with the code that the server named, and UnreachableError when
    nothing answers.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], *, timeout: float, tls: ssl.SSLContext | None
    ) -> None:
        self.url = url.rstrip("/")
        parts = _parts(self.url)
        self._timeout = timeout
        if tls is None and parts.scheme == "https":
            tls = system_tls()
        self._client = httpx.AsyncClient(
            headers={"accept": "application/json", "user-agent": "artcafe-python", **headers},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            # Without TLS a context that trusts nobody: loading the authorities takes httpx 30 ms.
            verify=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            # httpx would refuse any proxy that it does not know, also where that is not for this address.
            proxy=proxy_for(self.url),
            trust_env=False,
            event_hooks={"response": [_note_place]},
        )

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._client.aclose()

    async def ask(self, request: HttpRequest) -> Any:
        """Send the request and return its decoded response, of any type; None for one without a body."""
        return self._json(await self._send(request))

    async def answer(self, request: HttpRequest, *, record: str | None = None) -> Json:
        """The object that the request is answered with.

        Where the answer names the version of a record (its ETag), that is put into the record as
        `etag`; `record` is the field that holds it, None when the whole answer is the record.
        """
        response = await self._send(request)
        answer = self._json(response)
        if not isinstance(answer, dict):
            raise self.stranger()
        held = answer if record is None else answer.get(record)
        if not isinstance(held, dict):
            raise self.stranger()
        if "etag" in response.headers:
            held["etag"] = response.headers["etag"]
        return answer

    async def met(self, request: HttpRequest) -> tuple[Json, tuple[str, int]]:
        """The object that the request is answered with, and the address and port of who answered."""
        response = await self._send(request)
        answer = self._json(response)
        place = response.extensions[_PLACE]
        if not isinstance(answer, dict) or not isinstance(place, tuple):
            raise self.stranger()
        return answer, (place[0], place[1])

    async def record(self, name: str, request: HttpRequest) -> Json:
        """The record that the answer holds in this field."""
        answer: dict[str, Json] = await self.answer(request, record=name)
        return answer[name]

    async def whole(self, path: str) -> list[Json]:
        """A list that comes in one piece."""
        return self.items(await self.ask(HttpRequest("GET", path)))

    async def pages(
        self, name: str, path: str, query: Query | None = None, *, most: int | None = None
    ) -> list[Json]:
        """A list that comes in pages, in the server's order: all of it, or the first `most`."""
        wanted = dict(query or {})
        found: list[Json] = []
        while most is None or len(found) < most:
            page = await self.answer(HttpRequest("GET", path, query=wanted))
            found += self.items(page.get(name))
            cursor = page.get("next_token")
            if not isinstance(cursor, str) or not cursor:
                break
            wanted["next_token"] = cursor
        return found[:most]

    def items(self, value: object) -> list[Json]:
        """The value, which is a list when the platform gave it."""
        if not isinstance(value, list):
            raise self.stranger()
        return value

    def stranger(self) -> ArtcafeError:
        """The error to raise for an answer that the platform never gives."""
        return ArtcafeError(Code.internal, f"What answers at {self.url} is not an ArtCafe platform.")

    def _json(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise self.stranger() from error

    async def _send(self, request: HttpRequest) -> httpx.Response:
        query = {name: value for name, value in (request.query or {}).items() if value is not None}
        try:
            response = await self._client.request(
                request.method,
                self.url + request.path,
                json=request.body,
                params=query or None,
                headers=request.headers(),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _unconnected(self.url, error) from error
        except httpx.TimeoutException as error:
            raise _unanswered(request, f"No answer within {self._timeout:g} seconds") from error
        except httpx.HTTPError as error:
            raise _unanswered(request, "The connection to the server broke") from error
        if not response.is_success:
            raise of_response(response.status_code, response.headers, response.content)
        return response


async def post_form(url: str, fields: Mapping[str, str]) -> tuple[int, Json]:
    """Send a form to an address of its own, an issuer's, and give the status and the object it answers:
    an empty one where it answers nothing, as RFC 7009 allows.

    Redirects are not followed: what is in the form is for this address. Raises ArtcafeError where nobody
    answers, or with something that is no JSON object.
    """
    parts = _parts(url)
    tls = system_tls() if parts.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(
        timeout=_FORM_SECONDS, verify=tls, proxy=proxy_for(url), trust_env=False
    ) as client:
        try:
            response = await client.post(url, data=fields, headers={"accept": "application/json"})
            answer = response.json() if response.content else {}
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _unconnected(_origin(parts), error) from error
        except (httpx.HTTPError, ValueError) as error:
            raise ArtcafeError(Code.unavailable, f"{_origin(parts)} gave no usable answer.") from error
    if not isinstance(answer, dict):
        raise ArtcafeError(Code.unavailable, f"{_origin(parts)} gave no usable answer.")
    return response.status_code, answer


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def path_of(*segments: str) -> str:
    """A path under the prefix. A segment that would name another place is refused, not sent."""
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ArtcafeError(Code.bad_request, "An id has at least one letter or digit.")
    return "/".join((PREFIX, *(quote(segment, safe="") for segment in segments)))


def header_value(text: str, what: str) -> str:
    """The text, when it can be a header's value. Raises bad_request, without repeating it."""
    if not text or not all("!" <= character <= "~" for character in text):
        raise ArtcafeError(Code.bad_request, f"The {what} is empty or holds a character that none has.")
    return text


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


def _unanswered(request: HttpRequest, what: str) -> ArtcafeError:
    """The error for a request without a response: only reads may be repeated; of a change nobody knows
    whether it was made."""
    if request.method == "GET":
        return ArtcafeError(Code.unavailable, f"{what}.")
    return OutcomeUnknownError(f"{what}; whether it was done is not known.")


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
