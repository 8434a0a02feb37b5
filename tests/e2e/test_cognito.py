"""Users of an Amazon Cognito user pool, as moto has them: real tokens, under the issuer's real name."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.kit.installations import running_bus
from tests.kit.nginx import free_port
from tests.kit.platform import RunningPlatform, environment, running_platform
from tests.kit.sockets import Socket

REGION = "eu-central-1"
PASSWORD = "Correct-Horse-7"
SECONDS = 20.0


class Pool:
    """A user pool with one client and the user Ada."""

    def __init__(self, cognito: Any) -> None:
        self._cognito = cognito
        self.id = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]
        self.client = self.new_client()
        self.add("ada")

    def new_client(self) -> str:
        """One more client of the pool."""
        made = self._cognito.create_user_pool_client(
            UserPoolId=self.id,
            ClientName="console",
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )
        return str(made["UserPoolClient"]["ClientId"])

    def add(self, user: str) -> None:
        """One more user."""
        self._cognito.admin_create_user(UserPoolId=self.id, Username=user, MessageAction="SUPPRESS")
        self._cognito.admin_set_user_password(
            UserPoolId=self.id, Username=user, Password=PASSWORD, Permanent=True
        )

    def join(self, user: str, group: str) -> None:
        """Put a user into a new group."""
        self._cognito.create_group(UserPoolId=self.id, GroupName=group)
        self._cognito.admin_add_user_to_group(UserPoolId=self.id, Username=user, GroupName=group)

    def leave(self, user: str, group: str) -> None:
        """Take a user out of a group."""
        self._cognito.admin_remove_user_from_group(UserPoolId=self.id, Username=user, GroupName=group)

    def tokens(self, client: str | None = None, user: str = "ada") -> dict[str, str]:
        """AccessToken and IdToken of a user."""
        answer: dict[str, str] = self._cognito.admin_initiate_auth(
            UserPoolId=self.id,
            ClientId=client or self.client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": user, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        return answer


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """moto's server; everything in it ends with it."""
    port = free_port()
    program = Path(sys.executable).with_name("moto_server")
    process = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", f"{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + SECONDS
    try:
        while True:
            try:
                httpx.get(f"{url}/moto-api/data.json", timeout=5)
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def cognito(moto: str) -> Any:
    """A client of it."""
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    return session.create_client("cognito-idp", region_name=REGION, endpoint_url=moto)


@pytest.fixture(scope="module")
def pool(cognito: Any) -> Pool:
    return Pool(cognito)


@pytest.fixture(scope="module")
def server(moto: str, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A server whose users are those of the pool."""
    folder = tmp_path_factory.mktemp("cognito")
    with running_bus(folder) as nats:
        settings = {
            "NATS_URL": nats,
            "AWS_REGION": REGION,
            "COGNITO_USER_POOL_ID": pool.id,
            "COGNITO_CLIENT_ID": pool.client,
            # The issuer keeps its real name; only its keys are fetched from here.
            "ARTCAFE_OIDC_JWKS_URL": f"{moto}/{pool.id}/.well-known/jwks.json",
            "ARTCAFE_OIDC_ALLOW_LOOPBACK_HTTP": "true",
            "ARTCAFE_OIDC_GROUP_CLAIM": "cognito:groups",
            "ARTCAFE_OIDC_GROUPS": "founders=travel:owner, crew=travel:member, guests=travel:viewer",
        }
        with running_platform(folder / "data", command="serve", settings=settings) as running:
            yield running


def ask(server: RunningPlatform, token: str) -> httpx.Response:
    return httpx.get(f"{server.url}/api/v1/tenants", headers={"authorization": f"Bearer {token}"})


def test_a_user_of_the_pool_manages_a_tenant(server: RunningPlatform, pool: Pool) -> None:
    token = pool.tokens()["AccessToken"]
    with server.rest(token=token) as rest:
        assert rest.post("/tenants", json={"id": "acme", "name": "Acme"}).status_code == 201
    with server.rest("acme", token=token) as rest:
        assert rest.post("/agents", json={"name": "planner"}).status_code == 201
        members = rest.get("/tenants/acme/members").json()
        assert [member["role"] for member in members] == ["owner"]
    assert [tenant["id"] for tenant in ask(server, pool.tokens()["AccessToken"]).json()] == ["acme"]


def test_an_id_token_is_no_access_token(server: RunningPlatform, pool: Pool) -> None:
    assert ask(server, pool.tokens()["IdToken"]).status_code == 401


def test_another_client_of_the_pool_is_refused(server: RunningPlatform, pool: Pool) -> None:
    assert ask(server, pool.tokens(pool.new_client())["AccessToken"]).status_code == 401


def test_another_pool_is_refused(server: RunningPlatform, cognito: Any) -> None:
    assert ask(server, Pool(cognito).tokens()["AccessToken"]).status_code == 401


def test_a_token_that_was_changed_is_refused(server: RunningPlatform, pool: Pool) -> None:
    head, claims, signature = pool.tokens()["AccessToken"].split(".")
    assert ask(server, f"{head}.{claims}.{signature[:-6]}AAAAAA").status_code == 401
    assert ask(server, f"{head}.{claims}.").status_code == 401


async def test_groups_of_the_pool_are_members_for_as_long_as_their_tokens_say_so(
    server: RunningPlatform, pool: Pool
) -> None:
    """Over REST and on a dashboard: made by a founder, visited by a guest, closed to who left the group."""
    for user, group in (("fiona", "founders"), ("gus", "guests"), ("sam", "strangers")):
        pool.add(user)
        pool.join(user, group)
    founder, guest, stranger = (pool.tokens(user=user)["AccessToken"] for user in ("fiona", "gus", "sam"))
    with server.rest(token=stranger) as rest:
        assert rest.post("/tenants", json={"id": "travel", "name": "Travel"}).status_code == 403
    with server.rest(token=founder) as rest:
        assert rest.post("/tenants", json={"id": "travel", "name": "Travel"}).status_code == 201

    assert [tenant["id"] for tenant in ask(server, guest).json()] == ["travel"]
    assert ask(server, stranger).json() == []
    with server.rest(token=guest) as rest:
        assert rest.get("/agents").status_code == 200
        assert rest.post("/agents", json={"name": "planner"}).status_code == 403
    with server.rest("travel", token=stranger) as rest:
        assert rest.get("/agents").status_code == 403

    async with connect(f"{server.ws}/api/v1/ws/dashboard") as connection:
        human = Socket(connection)
        await human.send(type="auth", token=guest)
        await human.expect("connected", tenant_id="travel", role="viewer")
        pool.join("gus", "crew")
        await asyncio.sleep(1)  # Whole seconds count in tokens: the next one has to end later.
        await human.send(type="auth", token=pool.tokens(user="gus")["AccessToken"])
        await human.expect("renewed")
        await human.send(type="publish", topic="tasks", data=1, id="p")
        await human.expect("ack", id="p")

    for group in ("guests", "crew"):
        pool.leave("gus", group)
    after = pool.tokens(user="gus")["AccessToken"]
    assert ask(server, after).json() == []
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{server.ws}/api/v1/ws/dashboard?token={after}&tenant_id=travel")
    assert refused.value.response.status_code == 403
    with server.rest("travel", token=founder) as rest:
        members = rest.get("/tenants/travel/members").json()
        assert [member["role"] for member in members] == ["owner"], "no group is stored"
