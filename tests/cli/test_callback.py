"""The address at which a browser brings the issuer's answer."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import httpx
import pytest

from artcafe.cli.callback import listening


def ours(said: Mapping[str, str]) -> bool:
    return said.get("state") == "s"


async def test_only_the_answer_that_is_waited_for_is_taken() -> None:
    async with listening(0) as callback, httpx.AsyncClient(verify=False, trust_env=False) as browser:
        waiting = asyncio.ensure_future(callback.answer(ours, 10))
        await asyncio.sleep(0)
        base = f"http://127.0.0.1:{callback.port}"
        assert callback.redirect_uri == f"{base}/callback"
        for path, status in (
            ("/favicon.ico", 404),
            ("/callback", 400),
            ("/callback?code=evil&state=x", 400),
            ("/callback?code=evil&state=s&state=s", 400),
            ("/callback/?code=c&state=s", 404),
        ):
            assert (await browser.get(base + path)).status_code == status
        assert (await browser.post(f"{base}/callback?code=evil&state=s")).status_code == 404

        good = await browser.get(f"{base}/callback?code=c&state=s")
        late = await browser.get(f"{base}/callback?code=other&state=s")

        assert await waiting == {"code": "c", "state": "s"}
    assert (good.status_code, late.status_code) == (200, 400)
    assert "Signed in" in good.text
    assert good.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in good.headers["content-security-policy"]


async def test_nothing_that_is_sent_stands_in_the_page() -> None:
    async with listening(0) as callback, httpx.AsyncClient(verify=False, trust_env=False) as browser:
        waiting = asyncio.ensure_future(callback.answer(ours, 10))
        await asyncio.sleep(0)
        url = f"http://127.0.0.1:{callback.port}/callback"
        page = await browser.get(url, params={"state": "s", "error": "<script>x</script>"})
        assert (await waiting)["error"] == "<script>x</script>"

    assert "<script>" not in page.text
    assert "Not signed in" in page.text


async def test_what_is_no_browser_is_not_answered() -> None:
    async with listening(0) as callback:
        for said in (b"", b"GET /callback", b"x" * 20_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", callback.port)
            writer.write(said)
            writer.write_eof()
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()


async def test_nobody_comes() -> None:
    async with listening(0) as callback:
        with pytest.raises(TimeoutError):
            await callback.answer(ours, 0.01)
