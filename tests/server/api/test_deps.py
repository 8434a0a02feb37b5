"""Who is asking."""

import pytest
from fastapi.security import HTTPAuthorizationCredentials
from starlette.requests import Request

from artcafe.server.api.deps import current_user
from tests.kit.api import Api
from tests.kit.forwarded import CASES


@pytest.mark.parametrize(("peer", "lines", "client"), CASES)
async def test_the_client_is_told_over_all_lines_of_the_header(
    api: Api, peer: str, lines: tuple[str, ...], client: str
) -> None:
    headers = [(b"x-forwarded-for", line.encode("latin-1", "replace")) for line in lines]
    request = Request({"type": "http", "headers": headers, "client": (peer, 50_000)})
    token = HTTPAuthorizationCredentials(scheme="Bearer", credentials=api.tokens.give("olivia"))

    user = await current_user(request, api.cases, token)

    assert user.remote == client
