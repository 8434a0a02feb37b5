"""Who is signed in where."""

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from artcafe.cli.sign_ins import SignIns
from artcafe.client.sign_in import IssuerEndpoints, SignInRefused, Tokens
from artcafe.wire.errors import ArtcafeError
from tests.kit.oauth_issuer import OAuthIssuer, oauth_issuer, tokens

HERE, THERE = "http://127.0.0.1:8000", "https://pubsub.example.com"


class Clock:
    """Stands until it is set."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[OAuthIssuer]:
    with oauth_issuer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sign_ins(tmp_path: Path, clock: Clock) -> SignIns:
    return SignIns(tmp_path / "data", clock)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sign-ins.json"


async def test_tokens_are_kept_by_platform_for_the_owner_alone(
    sign_ins: SignIns, server: OAuthIssuer, file: Path
) -> None:
    assert await sign_ins.token(HERE) is None
    assert sign_ins.forget(HERE) is None
    assert not file.parent.exists()  # Looking leaves nothing behind.
    sign_ins.keep(HERE, IssuerEndpoints.of(server.config()), Tokens("a1", "r1", 3600))
    sign_ins.keep(THERE, IssuerEndpoints.of(server.config()), Tokens("b1", None, 3600))

    assert await sign_ins.token(HERE) == "a1"
    assert await sign_ins.token(THERE) == "b1"
    assert await sign_ins.token(f"{HERE}/") is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.parent.iterdir()) == ["sign-ins.json", "sign-ins.lock"]
    gone = sign_ins.forget(HERE)
    assert gone is not None
    assert (gone.refresh, await sign_ins.token(HERE), await sign_ins.token(THERE)) == ("r1", None, "b1")


async def test_a_token_about_to_end_is_renewed_once_for_all_who_ask(
    sign_ins: SignIns, server: OAuthIssuer, clock: Clock
) -> None:
    sign_ins.keep(HERE, IssuerEndpoints.of(server.config()), Tokens("a1", "r1", 100))
    server.answers = [tokens("a2", refresh_token="r2"), tokens("a3", refresh_token="r3")]
    clock.now += 39
    assert await sign_ins.token(HERE) == "a1"
    clock.now += 1

    assert await asyncio.gather(*(sign_ins.token(HERE) for _ in range(4))) == ["a2"] * 4
    clock.now += 3600
    assert await sign_ins.token(HERE) == "a3"
    assert [form["refresh_token"] for _, form in server.forms] == ["r1", "r2"]


async def test_a_sign_in_that_is_over_is_forgotten(
    sign_ins: SignIns, server: OAuthIssuer, clock: Clock
) -> None:
    server.answers = [(400, {"error": "invalid_grant"})]
    for refresh in ("r1", None):
        sign_ins.keep(HERE, IssuerEndpoints.of(server.config()), Tokens("a1", refresh, 100))
        clock.now += 100
        with pytest.raises(SignInRefused, match="artcafe login"):
            await sign_ins.token(HERE)
        assert await sign_ins.token(HERE) is None


@pytest.mark.parametrize(
    "answer",
    [(502, b"away"), (429, {"error": "too_many_requests"}), (503, {}), (401, {"error": "invalid_client"})],
)
async def test_while_the_issuer_is_away_nothing_is_forgotten(
    sign_ins: SignIns, server: OAuthIssuer, clock: Clock, answer: tuple[int, object]
) -> None:
    sign_ins.keep(HERE, IssuerEndpoints.of(server.config()), Tokens("a1", "r1", 100))
    server.answers = [answer, tokens("a2")]
    clock.now += 100

    with pytest.raises(ArtcafeError):
        await sign_ins.token(HERE)
    assert await sign_ins.token(HERE) == "a2"


@pytest.mark.parametrize("text", ["", "[]", '{"http://127.0.0.1:8000": {}}', '{"http://127.0.0.1:8000": 7}'])
async def test_a_file_that_is_damaged_is_named(sign_ins: SignIns, file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(0o600)

    with pytest.raises(click.ClickException, match=r"sign-ins\.json is damaged"):
        await sign_ins.token(HERE)


async def test_a_file_that_others_can_read_is_not_used(sign_ins: SignIns, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(json.dumps({}))
    file.chmod(0o644)

    with pytest.raises(click.ClickException, match="chmod go="):
        await sign_ins.token(HERE)
