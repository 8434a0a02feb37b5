"""The web console: static files, and their security headers."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import ApiResources, Resources
from artcafe.server.api.sign_in import endpoints, own_origin
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

router = APIRouter(route_class=AdmittingRoute, prefix="/console", include_in_schema=False)

_KINDS: Mapping[str, str] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@router.get("")
async def without_slash() -> Response:
    """The page's addresses are relative to the folder."""
    return RedirectResponse("console/", 308)


@router.get("/")
async def page(request: Request, resources: Resources) -> Response:
    """The page; it needs no token, what it asks for does."""
    # Nothing but this server and the issuer's token endpoint is ever asked, and no script but our own
    # runs: what an agent says cannot carry a token away.
    own = own_origin(request, resources)
    sockets = own.replace("http", "ws", 1)
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {sockets}{await _issuer_origins(request, resources, own)}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    headers = {
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
    }
    return _packaged("index.html", "text/html", headers)


async def _issuer_origins(request: Request, resources: ApiResources, own: str) -> str:
    """The origins that the console asks for tokens, when they are others than this server's."""
    try:
        found = await endpoints(request, resources)
    except ArtcafeError as error:
        if error.code is not Code.unavailable:
            raise
        return ""  # The page itself says that nobody can sign in right now.
    urls = [] if found is None else [found.token, found.revocation]
    origins = {"{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in urls if url is not None}
    return "".join(f" {origin}" for origin in sorted(origins - {own}))


@router.get("/{name}")
async def part(name: str) -> Response:
    """A file of the page. Raises not_found."""
    kind = _KINDS.get(Path(name).suffix)
    if kind is None or name not in {each.name for each in _folder().iterdir()}:
        raise ArtcafeError(Code.not_found, "The console has no such file.")
    return _packaged(name, kind, {})


def _folder() -> Path:
    return Path(str(files("artcafe"))) / "console"


def _packaged(name: str, kind: str, headers: Mapping[str, str]) -> Response:
    return FileResponse(_folder() / name, media_type=kind, headers={"cache-control": "no-cache", **headers})
