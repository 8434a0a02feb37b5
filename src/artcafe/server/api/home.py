"""The root page, for people who open the platform's address in a browser."""

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from artcafe.server.api.admission import AdmittingRoute

router = APIRouter(route_class=AdmittingRoute, include_in_schema=False)


@router.get("/")
async def home() -> Response:
    """Go to the console; the address is relative, for a proxy's prefix."""
    return RedirectResponse("console/", 307)
