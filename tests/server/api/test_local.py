"""The embedded installation's own issuer over HTTP: tokens for who owns the machine, and for no one else."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from artcafe.server.identity.dev_issuer import LOCAL_CLIENT
from artcafe.server.identity.oidc import OidcConfig, OidcVerifier
from artcafe.wire.codes import Code
from artcafe.wire.local_proof import SECONDS, ProofExchange, signer
from tests.kit.api import Api, furnished, good, problem
from tests.kit.local_issuer import ISSUER, furnished_with_issuer
from tests.kit.local_proofs import NONCE, answer, place_of, prove

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the issuer keeps its key, which takes time to make, and its secret."""
    return tmp_path_factory.mktemp("local") / "issuer"


@pytest.fixture
def secret(directory: Path, api: Api) -> str:
    """What who owns the machine can read."""
    return (directory / "secret").read_text().strip()


@pytest.fixture
async def api(application: FastAPI, directory: Path) -> Api:
    """With the issuer, as `artcafe up` has it."""
    return await furnished_with_issuer(application, directory)


def verifier(api: Api) -> OidcVerifier:
    """The platform's own, which fetches the keys of the issuer over HTTP."""
    config = OidcConfig(
        issuer=ISSUER,
        jwks_url=f"{ISSUER}/.well-known/jwks.json",
        client_ids=frozenset({LOCAL_CLIENT}),
        audiences=frozenset(),
        token_use_required=True,
        allow_insecure_loopback=True,
    )
    return OidcVerifier(config, api.client(), api.installation.clock)


async def token(anyone: httpx.AsyncClient, secret: str, **wanted: Any) -> dict[str, Any]:
    """An answer of the route."""
    made: dict[str, Any] = good(await prove(anyone, "/local/token", secret, **wanted))
    return made


async def roles(api: Api) -> dict[str, str]:
    members = good(await api.signed_in("olivia").get("/api/v1/tenants/acme/members"))
    return {member["user_id"]: member["role"] for member in members}


async def test_who_knows_the_secret_gets_a_token_that_the_platform_takes(
    api: Api, anyone: httpx.AsyncClient, secret: str
) -> None:
    made = await token(anyone, secret)

    assert set(made) == {"access_token", "token_type", "expires_in", "user", "tenant"}
    assert (made["token_type"], made["expires_in"]) == ("Bearer", 12 * 3600)
    assert (made["user"], made["tenant"]) == ("local-owner", None)
    claims = await verifier(api).verify(made["access_token"])
    assert claims.subject == "local-owner"
    assert claims.email == "owner@localhost"
    assert claims.tenant_claim is None
    assert claims.expires == int(api.installation.clock.now()) + 12 * 3600


@pytest.mark.parametrize("role", ["owner", "admin", "member", "viewer"])
async def test_with_a_tenant_it_is_a_users_who_has_exactly_that_role_there(
    api: Api, anyone: httpx.AsyncClient, secret: str, role: str
) -> None:
    made = await token(anyone, secret, tenant="acme", role=role)

    assert (made["user"], made["tenant"]) == (f"local-{role}", "acme")
    claims = await verifier(api).verify(made["access_token"])
    assert (claims.subject, claims.email, claims.tenant_claim) == (
        f"local-{role}",
        f"{role}@localhost",
        "acme",
    )
    assert (await roles(api))[f"local-{role}"] == role


async def test_an_address_is_that_of_a_member_and_makes_nobody_one(
    api: Api, anyone: httpx.AsyncClient, secret: str
) -> None:
    before = await roles(api)

    made = await token(anyone, secret, tenant="acme", email="VERA@example.com")

    assert (made["user"], made["tenant"]) == ("vera", "acme")
    claims = await verifier(api).verify(made["access_token"])
    assert (claims.subject, claims.email) == ("vera", "vera@example.com")
    assert await roles(api) == before


@pytest.mark.parametrize("path", ["/local/token", "/local/code"])
@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"tenant": "acme", "email": "nobody@example.com"}, Code.not_found),
        ({"tenant": "acme", "email": ""}, Code.not_found),
        ({"tenant": "nowhere", "email": "vera@example.com"}, Code.not_found),
        ({"email": "vera@example.com"}, Code.validation_failed),
        ({"tenant": "acme", "role": "viewer", "email": "vera@example.com"}, Code.validation_failed),
    ],
    ids=str,
)
async def test_somebody_unknown_gets_nothing(
    api: Api, anyone: httpx.AsyncClient, secret: str, path: str, wanted: dict[str, str], code: Code
) -> None:
    before = await roles(api)

    problem(await prove(anyone, path, secret, **wanted), code)

    assert await roles(api) == before


async def test_an_address_that_several_have_is_nobodys_in_particular(
    api: Api, anyone: httpx.AsyncClient, secret: str
) -> None:
    olivia = api.signed_in("olivia")
    for user in ("one", "two"):
        member = {"user_id": user, "role": "viewer", "email": "both@example.com"}
        good(await olivia.post("/api/v1/tenants/acme/members", json=member))

    wanted = {"tenant": "acme", "email": "both@example.com"}
    problem(await prove(anyone, "/local/token", secret, **wanted), Code.conflict)


async def test_an_address_that_a_tenant_gave_an_operator_opens_no_platform(
    api: Api, anyone: httpx.AsyncClient, secret: str
) -> None:
    member = {"user_id": "oscar", "role": "viewer", "email": "trap@example.com"}
    good(await api.signed_in("adam").post("/api/v1/tenants/acme/members", json=member))

    wanted = {"tenant": "acme", "email": "trap@example.com"}
    problem(await prove(anyone, "/local/token", secret, **wanted), Code.not_found)


async def test_without_a_tenant_nobody_becomes_a_member_of_anything(
    api: Api, anyone: httpx.AsyncClient, secret: str
) -> None:
    before = await roles(api)

    await token(anyone, secret, role="owner")

    assert await roles(api) == before


@pytest.mark.parametrize("wrong", ["", "x", "é", "x" * 256])
async def test_without_the_secret_there_is_no_token_and_no_member(
    api: Api, anyone: httpx.AsyncClient, wrong: str
) -> None:
    before = await roles(api)

    answer = await prove(anyone, "/local/token", wrong, tenant="acme", role="owner")

    problem(answer, Code.unauthorized)
    assert await roles(api) == before


async def test_a_secret_that_is_almost_right_is_wrong(anyone: httpx.AsyncClient, secret: str) -> None:
    for almost in (secret[:-1], secret + "x", secret + "\n", secret.swapcase()):
        problem(await prove(anyone, "/local/token", almost), Code.unauthorized)


@pytest.mark.parametrize(
    "wanted", [{"tenant": "a.b"}, {"tenant": ""}, {"role": "god"}, {"email": "x" * 256}], ids=str
)
async def test_what_is_out_of_range_is_refused(
    anyone: httpx.AsyncClient, secret: str, wanted: dict[str, str]
) -> None:
    answer = await prove(anyone, "/local/token", secret, **wanted)

    problem(answer, Code.validation_failed)


async def test_a_tenant_that_is_not_there_is_not_found(anyone: httpx.AsyncClient, secret: str) -> None:
    problem(await prove(anyone, "/local/token", secret, tenant="nowhere"), Code.not_found)


async def test_its_documents_are_public_and_hold_no_secret(
    anyone: httpx.AsyncClient, secret: str, directory: Path
) -> None:
    configuration = await anyone.get("/local/.well-known/openid-configuration")
    keys = await anyone.get("/local/.well-known/jwks.json")

    assert good(configuration)["issuer"] == ISSUER
    [key] = good(keys)["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
    assert secret not in configuration.text + keys.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/local/.well-known/openid-configuration"),
        ("GET", "/local/.well-known/jwks.json"),
        ("POST", "/local/challenge"),
        ("POST", "/local/token"),
        ("POST", "/local/code"),
    ],
)
async def test_an_installation_with_an_issuer_of_its_own_has_none_of_it(
    application: FastAPI, method: str, path: str
) -> None:
    anyone = (await furnished(application)).client()

    asked: dict[str, str] = {"nonce": NONCE}
    if path != "/local/challenge":
        asked |= {"challenge": f"1.{NONCE}.{'0' * 64}", "proof": "", "tenant": "acme", "role": "owner"}
    answer = await anyone.request(method, path, json=asked)

    problem(answer, Code.not_found)


class TestAProof:
    """Is good once, for half a minute, for one wish, at one address."""

    @pytest.fixture
    async def given(self, anyone: httpx.AsyncClient) -> dict[str, Any]:
        """A challenge, and the platform's own proof."""
        challenge: dict[str, Any] = good(await anyone.post("/local/challenge", json={"nonce": NONCE}))
        return challenge

    @pytest.fixture
    def place(self, anyone: httpx.AsyncClient) -> str:
        return place_of(f"{anyone.base_url}")

    async def test_of_the_platform_is_for_the_nonce_and_the_address(
        self, given: dict[str, Any], secret: str, place: str
    ) -> None:
        sign, challenge = signer(secret), given["challenge"]

        assert given["proof"] == ProofExchange(NONCE, place).of_platform(sign, challenge)
        for other in (ProofExchange("m" * 43, place), ProofExchange(NONCE, place_of("http://127.0.0.1:1"))):
            assert given["proof"] != other.of_platform(sign, challenge)

    async def test_is_good_once(
        self, anyone: httpx.AsyncClient, given: dict[str, Any], secret: str, place: str
    ) -> None:
        token = answer(given, secret, place, "/local/token")
        good(await anyone.post("/local/token", json=token))
        problem(await anyone.post("/local/token", json=token), Code.unauthorized)
        code = answer(given, secret, place, "/local/code")
        problem(await anyone.post("/local/code", json=code), Code.unauthorized)

    async def test_ends(
        self, api: Api, anyone: httpx.AsyncClient, given: dict[str, Any], secret: str, place: str
    ) -> None:
        api.installation.clock.advance(SECONDS)
        problem(
            await anyone.post("/local/token", json=answer(given, secret, place, "/local/token")),
            Code.unauthorized,
        )

    async def test_that_was_relayed_is_for_another_address(
        self, anyone: httpx.AsyncClient, given: dict[str, Any], secret: str
    ) -> None:
        relayed = answer(given, secret, place_of("http://127.0.0.1:8001"), "/local/token")
        problem(await anyone.post("/local/token", json=relayed), Code.unauthorized)

    async def test_is_for_what_was_wanted_alone(
        self, anyone: httpx.AsyncClient, given: dict[str, Any], secret: str, place: str
    ) -> None:
        sent = answer(given, secret, place, "/local/token", tenant="acme", role="viewer")
        for path, changed in (
            ("/local/code", {}),
            ("/local/token", {"role": "owner"}),
            ("/local/token", {"tenant": "other"}),
            ("/local/token", {"nonce": "m" * 43}),
            ("/local/token", {"challenge": f"9{sent['challenge']}"}),
            ("/local/token", {"proof": given["proof"]}),
            ("/local/token", {"proof": "\ud800"}),
        ):
            asked = await anyone.post(path, content=json.dumps({**sent, **changed}), headers=JSON)
            assert asked.status_code in {400, 401, 422}, (path, changed)
        good(await anyone.post("/local/token", json=sent))

    async def test_is_asked_of_who_sends_the_secret_as_older_commands_do(
        self, anyone: httpx.AsyncClient, secret: str
    ) -> None:
        refused = problem(await anyone.post("/local/token", json={"secret": secret}), Code.validation_failed)
        assert "use an artcafe command of this release" in refused["detail"]
        assert secret not in f"{refused}"
