"""The OAuth 2.0 endpoints of the embedded issuer (RFC 6749).

They take forms and answer pages, redirects and the errors of OAuth, so they are described by the
discovery document and not by OpenAPI.
"""

from typing import Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from artcafe.server.api import journal
from artcafe.server.api import sign_in_page as pages
from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import ApiResources, Cases, Resources
from artcafe.server.api.sign_in import LOCAL, endpoints, own_origin
from artcafe.server.core.sign_in import SignIn, TokenResponse
from artcafe.server.domain import sign_in as rules
from artcafe.server.domain.sign_in import NobodyToTell, OAuthError, Returning
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

router = APIRouter(route_class=AdmittingRoute, prefix=f"{LOCAL}/oauth2", include_in_schema=False)

_MAX_FORM = 16_384  # bytes; codes and tokens have some hundred
_FORM = "application/x-www-form-urlencoded"

Form = dict[str, list[str]]


async def _embedded(cases: Cases) -> SignIn:
    if cases.sign_in is None:
        raise ArtcafeError(Code.not_found, "This installation signs humans in with its OIDC issuer.")
    return cases.sign_in


Embedded = Annotated[SignIn, Depends(_embedded)]


async def _form(request: Request) -> Form:
    """The fields of a form. Raises OAuthError for a body that is no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", f"The body is {_FORM}.")
    return _parsed(await request.body())


def _parsed(text: bytes) -> Form:
    if len(text) > _MAX_FORM:
        raise OAuthError("invalid_request", "The form is too large.")
    try:
        found = parse_qs(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=32)
        return {name.decode(): [value.decode() for value in values] for name, values in found.items()}
    except ValueError:
        raise OAuthError("invalid_request", "The form cannot be read.") from None


# Where a browser is sent.


@router.get("/authorize")
async def authorize_page(request: Request, resources: Resources, sign_in: Embedded) -> Response:
    """Ask the human whether the client may sign them in, and for a sign-in code."""
    return await _authorize(request, resources, sign_in, asked=None)


@router.post("/authorize")
async def authorize(request: Request, resources: Resources, sign_in: Embedded) -> Response:
    """The human's answer: back to the client, with a code or without."""
    _refuse_foreign(request, resources)
    try:
        asked = await _form(request)
    except OAuthError as error:
        return pages.notice("Not signed in", error.description, 400)
    return await _authorize(request, resources, sign_in, asked=asked)


async def _authorize(
    request: Request, resources: ApiResources, sign_in: SignIn, *, asked: Form | None
) -> Response:
    decision = proof = ""
    try:
        given = _parsed(request.scope["query_string"]) if asked is None else asked
        if asked is not None:
            decision, proof = given.pop("decision", [""])[0], given.pop("proof", [""])[0]
        to = rules.returning(given, _client(resources), own_origin(request, resources) + "/console/")
    except NobodyToTell as stranger:
        return pages.notice("Not signed in", f"{stranger}", 400)
    except OAuthError as error:
        return pages.notice("Not signed in", error.description, 400)
    issuer = await _issuer_name(request, resources)
    try:
        wanted = rules.authorization(given, to)
        if asked is None:
            return _question(to, given)
        if decision != "allow":
            raise OAuthError("access_denied", "The human said no.")
        code = await sign_in.authorize(wanted, proof)
    except OAuthError as error:
        return _back(to, issuer, error=error.error, error_description=error.description)
    except ArtcafeError as refusal:
        if refusal.code is not Code.unauthorized:
            raise
        _log_refusal(request, resources, refusal)
        return _question(to, given, fault=refusal.message)
    return _back(to, issuer, code=code)


def _question(to: Returning, given: Form, fault: str | None = None) -> Response:
    target = urlsplit(to.redirect_uri)
    who = "The console" if target.path == "/console/" else f"A program at {target.netloc} on your machine"
    return pages.question(
        "Sign in",
        f"{who} wants to act for you on this platform. Go on only if you opened it yourself.",
        action=f"{LOCAL}/oauth2/authorize",
        hidden={name: values[0] for name, values in given.items()},
        returns_to=f"{target.scheme}://{target.netloc}",
        fault=fault,
    )


def _back(to: Returning, issuer: str, **said: str) -> Response:
    """The answer to the client (RFC 6749 section 4.1.2), with its state and our name (RFC 9207)."""
    state = {} if to.state is None else {"state": to.state}
    return RedirectResponse(
        f"{to.redirect_uri}?{urlencode({**said, **state, 'iss': issuer})}",
        303,
        headers={"cache-control": "no-store", "referrer-policy": "no-referrer"},
    )


@router.get("/device")
async def device_page(sign_in: Embedded, user_code: str = "") -> Response:
    """Ask for the code that a device shows."""
    return _device_question(user_code[:32])


@router.post("/device")
async def device(request: Request, resources: Resources, sign_in: Embedded) -> Response:
    """The human's answer about a device."""
    _refuse_foreign(request, resources)
    try:
        said = rules.singles(await _form(request))
    except OAuthError as error:
        return pages.notice("Not signed in", error.description, 400)
    code, allowed = said.get("user_code", ""), said.get("decision") == "allow"
    if not allowed and not said.get("proof"):
        return pages.notice("Not signed in", "Nothing was done; the device's code runs out by itself.")
    try:
        await sign_in.decide_device(code, said.get("proof", ""), allowed=allowed)
    except ArtcafeError as refusal:
        if refusal.code not in {Code.unauthorized, Code.not_found}:
            raise
        _log_refusal(request, resources, refusal)
        return _device_question(code[:32], fault=refusal.message)
    done = "The device is signed in; go on there." if allowed else "The device was denied."
    return pages.notice("Done", f"{done} This page can be closed.")


def _log_refusal(request: Request, resources: ApiResources, refusal: ArtcafeError) -> None:
    """A page says what was wrong, with status 200; the log says it too."""
    remote = journal.address(request.scope, resources.client_address)
    journal.login_refused(request.scope, remote, refusal, way="sign_in")


def _device_question(code: str, fault: str | None = None) -> Response:
    return pages.question(
        "Sign a device in",
        "A device wants to act for you on this platform. Go on only if it shows this code and is yours.",
        action=f"{LOCAL}/oauth2/device",
        hidden={},
        fault=fault,
        ask_for=("user_code", "Code that the device shows", code),
    )


def _refuse_foreign(request: Request, resources: ApiResources) -> None:
    """Keep other sites' forms out. They would need a sign-in code besides. Raises forbidden."""
    origin = request.headers.get("origin")
    if origin is not None and origin != own_origin(request, resources):
        raise ArtcafeError(Code.forbidden, "Pages of this origin may not send this form.")


# Where programs ask.


@router.post("/token")
async def exchange(request: Request, resources: Resources, sign_in: Embedded) -> Response:
    """Tokens for a code, a refresh token or a device code (RFC 6749 section 5)."""
    try:
        said = await _of_our_client(request, resources)
        match said.get("grant_type"):
            case "authorization_code":
                tokens = await sign_in.exchange(
                    said.get("code", ""), said.get("redirect_uri", ""), said.get("code_verifier", "")
                )
            case "refresh_token":
                tokens = await sign_in.refresh(said.get("refresh_token", ""))
            case "urn:ietf:params:oauth:grant-type:device_code":
                tokens = await sign_in.poll_device(said.get("device_code", ""))
            case _:
                raise OAuthError("unsupported_grant_type", "The grant_type is none that is known here.")
    except OAuthError as error:
        return _refused(error)
    return _fresh(_shown(tokens))


@router.post("/device_authorization")
async def begin_device(request: Request, resources: Resources, sign_in: Embedded) -> Response:
    """Codes for a device without a browser (RFC 8628 section 3.2)."""
    try:
        said = await _of_our_client(request, resources)
        waiting = await sign_in.begin_device(rules.scope_of(said))
    except OAuthError as error:
        return _refused(error)
    page = f"{own_origin(request, resources)}{LOCAL}/oauth2/device"
    return _fresh(
        {
            "device_code": waiting.device_code,
            "user_code": waiting.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': waiting.user_code})}",
            "expires_in": rules.DEVICE_SECONDS,
            "interval": rules.POLL_SECONDS,
        }
    )


@router.post("/revoke")
async def revoke(request: Request, resources: Resources, sign_in: Embedded) -> Response:
    """End everything that came of a refresh token (RFC 7009)."""
    try:
        await sign_in.revoke((await _of_our_client(request, resources)).get("token", ""))
    except OAuthError as error:
        return _refused(error)
    return _fresh({})


async def _of_our_client(request: Request, resources: ApiResources) -> dict[str, str]:
    said = rules.singles(await _form(request))
    if said.get("client_id") != _client(resources):
        raise OAuthError("invalid_client", "The client_id is not known here.")
    return said


def _client(resources: ApiResources) -> str:
    return "" if resources.sign_in_client is None else resources.sign_in_client.client_id


async def _issuer_name(request: Request, resources: ApiResources) -> str:
    found = await endpoints(request, resources)
    return "" if found is None else found.issuer


def _shown(tokens: TokenResponse) -> dict[str, object]:
    identity = {} if tokens.id_token is None else {"id_token": tokens.id_token}
    return {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "scope": tokens.scope,
        **identity,
    }


def _fresh(body: dict[str, object], status: int = 200) -> Response:
    return JSONResponse(body, status, headers={"cache-control": "no-store", "pragma": "no-cache"})


def _refused(error: OAuthError) -> Response:
    return _fresh({"error": error.error, "error_description": error.description}, 400)
