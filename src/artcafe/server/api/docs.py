"""Swagger UI at /docs, served from this process alone."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from artcafe.server.api.admission import AdmittingRoute

router = APIRouter(route_class=AdmittingRoute, prefix="/docs", include_in_schema=False)

# Swagger UI styles its elements one by one and draws its icons from data URLs; all else is our own.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Every address is relative, so that the page works behind a proxy's prefix too.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ArtCafe PubSub: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""


@router.get("")
async def page() -> Response:
    """The page; it needs no token, a call that is tried out from it does."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY, "cache-control": "no-cache"})


@router.get("/start.js")
async def start() -> Response:
    """The script that starts Swagger UI: a file, because the page may run no inline script."""
    return Response(_START, media_type="text/javascript", headers={"cache-control": "no-cache"})


@router.get("/swagger-ui-bundle.js")
async def script() -> Response:
    """Swagger UI itself."""
    return _packaged("swagger-ui-bundle.js", "text/javascript")


@router.get("/swagger-ui.css")
async def style() -> Response:
    """The style sheet of the page."""
    return _packaged("swagger-ui.css", "text/css")


def _packaged(name: str, kind: str) -> Response:
    """A file of Swagger UI as fastapi-offline brings it; nothing else of that package is used."""
    path = Path(str(files("fastapi_offline"))) / "static" / name
    return FileResponse(path, media_type=kind, headers={"cache-control": "public, max-age=86400"})
