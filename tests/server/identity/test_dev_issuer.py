"""The local issuer: its files stay private, and its tokens go through the same door as anybody's."""

import base64
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from artcafe.server.identity.dev_issuer import (
    JWKS_PATH,
    KEY_FILE,
    LOCAL_CLIENT,
    SECRET_FILE,
    LocalIssuer,
    thumbprint,
)
from artcafe.server.identity.oidc import OidcConfig, OidcVerifier, TokenClaims, discover
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.local_proof import signer
from tests.kit.issuers import NOON, Issuer, StoppedClock, new_key, running_issuer

URL = "http://127.0.0.1:8080"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of one installation, so that not each test waits for a key."""
    directory = tmp_path_factory.mktemp("made") / "issuer"
    LocalIssuer.open(directory, URL, StoppedClock(), str)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture(scope="session")
def weak() -> RSAPrivateKey:
    return new_key(1024)


@pytest.fixture
def directory(tmp_path: Path, made: dict[str, bytes]) -> Path:
    """An installation that ran before."""
    directory = tmp_path / "issuer"
    directory.mkdir(mode=0o700)
    for name, content in made.items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o600)
    return directory


def opened(directory: Path, clock: StoppedClock | None = None, url: str = URL) -> LocalIssuer:
    numbers = count(1)
    return LocalIssuer.open(directory, url, clock or StoppedClock(), lambda: f"id-{next(numbers)}")


# Its files.


def test_a_first_start_makes_private_files(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "issuer"

    opened(directory)

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {KEY_FILE: 0o600, SECRET_FILE: 0o600}
    assert (directory / KEY_FILE).read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_an_open_umask_opens_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened(tmp_path / "issuer")
        opened(tmp_path / "issuer")  # checked again while reading
    finally:
        os.umask(before)


def test_opening_again_gives_the_same_key_and_secret(directory: Path) -> None:
    first, second = opened(directory), opened(directory)

    assert first.jwks() == second.jwks()
    assert (
        first.sign(b"x") == second.sign(b"x") == signer((directory / SECRET_FILE).read_text().strip())(b"x")
    )


def test_two_installations_share_nothing(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"

    assert opened(directory).jwks() != opened(other).jwks()
    assert opened(directory).sign(b"x") != signer((other / SECRET_FILE).read_text().strip())(b"x")


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    directory = tmp_path / "issuer"
    with ThreadPoolExecutor(4) as pool:
        issuers = list(pool.map(lambda _: opened(directory), range(4)))

    assert len({str(issuer.jwks()) for issuer in issuers}) == 1
    assert {path.name for path in directory.iterdir()} == {KEY_FILE, SECRET_FILE}


def _replaced(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _linked(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent.parent / "nowhere")


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _with_a_flipped_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] = ord("A") if content[middle] != ord("A") else ord("B")
    path.write_bytes(content)


def _pem(key: RSAPrivateKey | ec.EllipticCurvePrivateKey, secret: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a key the group may read": (KEY_FILE, lambda path: path.chmod(0o640), "other users"),
    "a key the world may read": (KEY_FILE, lambda path: path.chmod(0o604), "other users"),
    "a key the world may write": (KEY_FILE, lambda path: path.chmod(0o602), "other users"),
    "a secret the world may read": (SECRET_FILE, lambda path: path.chmod(0o644), "other users"),
    "a directory the world may enter": ("", lambda path: path.chmod(0o711), "other users"),
    "a directory that is a link": ("", _linked, "link"),
    "a key that is a link": (KEY_FILE, _linked, "link"),
    "a key that is a link to nothing": (KEY_FILE, _dangling, "link"),
    "a secret that is a link": (SECRET_FILE, _linked, "link"),
    "a key that is a pipe": (KEY_FILE, _a_pipe, "kind"),
    "a key cut short": (KEY_FILE, lambda path: path.write_bytes(path.read_bytes()[:800]), "damaged"),
    "a key with another byte": (KEY_FILE, _with_a_flipped_byte, "damaged"),
    "an empty key": (KEY_FILE, _replaced(b""), "damaged"),
    "a key with a password": (
        KEY_FILE,
        _replaced(_pem(ec.generate_private_key(ec.SECP256R1()), b"p")),
        "damaged",
    ),
    "a key of another kind": (KEY_FILE, _replaced(_pem(ec.generate_private_key(ec.SECP256R1()))), "2048"),
    "an empty secret": (SECRET_FILE, _replaced(b"\n"), "damaged"),
    "a short secret": (SECRET_FILE, _replaced(b"a" * 42), "damaged"),
    "a binary secret": (SECRET_FILE, _replaced(b"\xff" * 64), "damaged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_files_that_are_not_as_they_were_left_are_refused(directory: Path, name: str) -> None:
    file, damage, reason = DAMAGE[name]
    damage(directory / file)

    with pytest.raises(ValueError, match=reason) as refused:
        opened(directory)

    assert str(refused.value).endswith(".")


def test_a_weak_key_is_refused(directory: Path, weak: RSAPrivateKey) -> None:
    (directory / KEY_FILE).write_bytes(_pem(weak))

    with pytest.raises(ValueError, match="2048"):
        opened(directory)


def test_the_directory_of_another_user_is_refused(directory: Path) -> None:
    foreign = Path("/usr")
    if foreign.stat().st_uid == os.geteuid():
        os.chown(directory, 65_534, -1)
        foreign = directory

    with pytest.raises(ValueError, match="another user"):
        opened(foreign)


@pytest.mark.parametrize("url", ["http://192.168.1.2:8080", "http://artcafe.example"])
def test_it_speaks_plain_http_on_this_machine_only(directory: Path, url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        opened(directory, url=url)


# Its documents.


def test_the_thumbprint_is_that_of_the_standard() -> None:
    """RFC 7638 section 3.1."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV"
        "4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7"
        "d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF4"
        "4-csFCur-kEgU8awapJzKnqDKgw"
    )

    assert (
        thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    )


def test_the_key_set_shows_the_public_half_only(directory: Path) -> None:
    keys = opened(directory).jwks()["keys"]
    assert isinstance(keys, list)
    (shown,) = keys

    assert set(shown) == {"kty", "n", "e", "kid", "use", "alg"}
    assert shown["kid"] == thumbprint({name: shown[name] for name in ("kty", "n", "e")})


# Its secret.


def test_it_signs_as_who_can_read_the_file(directory: Path) -> None:
    issuer = opened(directory)
    secret = (directory / SECRET_FILE).read_text().strip()

    assert issuer.sign(b"x") == signer(secret)(b"x")
    for wrong in ("", secret[:-1], secret + "a"):
        assert issuer.sign(b"x") != signer(wrong)(b"x")


# Its tokens.


@dataclass
class Installation:
    """A local issuer whose documents are served, and the verifier that fetches them."""

    directory: Path
    served: Issuer
    clock: StoppedClock
    issuer: LocalIssuer
    verifier: OidcVerifier

    def reopen(self) -> None:
        """Start again, as after a restart of the server."""
        self.issuer = opened(self.directory, self.clock, self.served.origin)
        self.served.documents = {
            JWKS_PATH: self.issuer.jwks,
            "/.well-known/openid-configuration": lambda: self.issuer.configuration(self.served.origin),
        }


@pytest.fixture
async def running(directory: Path) -> AsyncIterator[Installation]:
    async with running_issuer({}) as served, httpx.AsyncClient(verify=False, trust_env=False) as client:
        clock = StoppedClock()
        issuer = opened(directory, clock, served.origin)
        config = OidcConfig(
            issuer=served.origin,
            jwks_url=served.origin + JWKS_PATH,
            client_ids=frozenset({LOCAL_CLIENT}),
            audiences=frozenset(),
            token_use_required=True,
            allow_insecure_loopback=True,
        )
        installation = Installation(directory, served, clock, issuer, OidcVerifier(config, client, clock))
        installation.reopen()
        yield installation


async def test_its_tokens_pass_the_door_of_all_tokens(running: Installation) -> None:
    token = running.issuer.mint("u1", email="ada@example.com", tenant="acme", lifetime_seconds=60)

    assert await running.verifier.verify(token) == TokenClaims(
        subject="u1",
        issuer=running.served.origin,
        expires=NOON + 60,
        email="ada@example.com",
        tenant_claim="acme",
        groups=frozenset(),
        username="u1",
    )
    assert running.served.fetches == 1


async def test_a_plain_token_claims_nothing_more(running: Installation) -> None:
    token = running.issuer.mint("u1")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))

    assert claims == {
        "iss": running.served.origin,
        "sub": "u1",
        "client_id": "artcafe-local",
        "token_use": "access",
        "iat": NOON,
        "exp": NOON + 3600,
        "jti": "id-1",
        "username": "u1",
    }
    assert (await running.verifier.verify(token)).email is None


async def test_its_tokens_expire(running: Installation) -> None:
    token = running.issuer.mint("u1", lifetime_seconds=60)
    running.clock.advance(90)

    with pytest.raises(ArtcafeError) as refused:
        await running.verifier.verify(token)

    assert refused.value.code is Code.token_expired


async def test_tokens_outlive_a_restart(running: Installation) -> None:
    token = running.issuer.mint("u1")
    running.reopen()

    assert (await running.verifier.verify(token)).subject == "u1"


async def test_a_deleted_key_ends_its_tokens(running: Installation) -> None:
    old = running.issuer.mint("u1")
    await running.verifier.verify(old)
    (running.directory / KEY_FILE).unlink()
    running.reopen()
    running.clock.advance(30)

    assert (await running.verifier.verify(running.issuer.mint("u1"))).subject == "u1"
    with pytest.raises(ArtcafeError) as refused:
        await running.verifier.verify(old)

    assert refused.value.code is Code.unauthorized


async def test_another_installation_is_a_stranger(running: Installation, tmp_path: Path) -> None:
    stranger = opened(tmp_path / "other", running.clock, running.served.origin)

    with pytest.raises(ArtcafeError) as refused:
        await running.verifier.verify(stranger.mint("u1"))

    assert refused.value.code is Code.unauthorized


async def test_it_can_be_discovered(running: Installation) -> None:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        found = await discover(client, running.served.origin, allow_insecure_loopback=True)

    assert found == running.served.origin + JWKS_PATH


@pytest.mark.parametrize("lifetime", [0, -1, 86_401])
def test_a_token_has_a_sensible_lifetime(directory: Path, lifetime: int) -> None:
    with pytest.raises(ValueError, match="seconds"):
        opened(directory).mint("ada", lifetime_seconds=lifetime)


@pytest.mark.parametrize("subject", ["", "a" * 256])
def test_a_token_has_a_subject(directory: Path, subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        opened(directory).mint(subject)
