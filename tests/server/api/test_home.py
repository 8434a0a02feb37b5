"""The platform's own address."""

import httpx


async def test_it_leads_to_the_console(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, "console/")
