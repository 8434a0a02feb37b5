"""The authority against real nats-servers: ours, strangers' and badly configured ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.nkeys import KeyPair, NkeyKind, read_token, write_token
from artcafe.server.domain.installation import MOST_STRANGERS, Mark
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Reconciled
from artcafe.server.ports.installation import Survey
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE
from tests.kit.nats import Nats, connected, make_tenant, running_nats

SEED = b"s" * 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with running_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def authority(shared: Nats) -> AsyncIterator[Authority]:
    """An authority over a bus without tenants."""
    async with shared.authority() as opened:
        await opened.reconcile([], many=True)
        yield opened


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen, for ten seconds at most."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def ask(nats: Nats, subject: str, payload: bytes = b"") -> bytes:
    """Ask with system credentials, past the authority."""
    async with connected(nats.url, nats.operator.system_credentials()) as client:
        return (await client.request(subject, payload, timeout=5)).data


async def test_a_pushed_account_lets_its_tenant_in(shared: Nats, authority: Authority) -> None:
    tenant = make_tenant("acme")
    assert not await shared.admits(tenant)
    await authority.push(tenant)
    assert await shared.admits(tenant)


async def test_pushing_again_disturbs_nobody(shared: Nats, authority: Authority) -> None:
    tenant = make_tenant("acme")
    await authority.push(tenant)
    lookup = f"$SYS.REQ.ACCOUNT.{shared.operator.account_id(tenant)}.CLAIMS.LOOKUP"
    before = await ask(shared, lookup)
    async with connected(shared.url, shared.operator.credentials(tenant)) as client:
        await authority.push(tenant)
        await client.flush()
        assert client.is_connected
    assert await ask(shared, lookup) == before


async def test_removal_ends_live_connections_and_shuts_the_door(shared: Nats, authority: Authority) -> None:
    gone, stays = make_tenant("acme"), make_tenant("zebra")
    await authority.push(gone)
    await authority.push(stays)
    async with (
        connected(shared.url, shared.operator.credentials(gone)) as theirs,
        connected(shared.url, shared.operator.credentials(stays)) as others,
    ):
        await authority.remove(gone)
        await until(lambda: not theirs.is_connected)
        await others.flush()
        assert others.is_connected
    assert not await shared.admits(gone)
    await authority.remove(gone)


async def test_an_account_comes_back_in_the_second_in_which_it_was_removed(
    shared: Nats, authority: Authority
) -> None:
    """NATS takes no notice of a JWT it held before, so a returning account was refused as expired."""
    tenant = make_tenant("acme")
    for _ in range(3):
        await authority.push(tenant)
        assert await shared.admits(tenant)
        await authority.remove(tenant)
        assert not await shared.admits(tenant)


async def test_a_tenant_made_again_has_another_account(shared: Nats, authority: Authority) -> None:
    first, second = make_tenant("acme"), make_tenant("acme")
    await authority.push(first)
    await authority.remove(first)
    await authority.push(second)
    assert not await shared.admits(first)
    assert await shared.admits(second)


async def test_streams_go_with_their_account(shared: Nats, authority: Authority, tmp_path: Path) -> None:
    tenant = make_tenant("acme")
    account = shared.operator.account_id(tenant)
    await authority.push(tenant)
    async with connected(shared.url, streaming(shared, tenant)) as client:
        await client.jetstream().add_stream(name="S", subjects=["m.>"], max_bytes=100_000)
        await client.jetstream().publish("m.a.x", b"kept")
    folder = shared.server.data / "streams" / "jetstream" / account
    assert any(folder.rglob("*.blk"))
    await authority.remove(tenant)
    assert not folder.exists()


def streaming(nats: Nats, tenant: Tenant) -> NatsCredentials:
    """A user of the tenant's account without any restriction."""
    path = f"{tenant.id}/{tenant.account}"
    account = KeyPair.derive(nats.seed, f"account/{path}", NkeyKind.account)
    signer = KeyPair.derive(nats.seed, f"account-signing/{path}", NkeyKind.account)
    return NatsCredentials(account, signer, nats.clock, "test", {})


async def test_reconcile_makes_nats_agree_with_the_store(shared: Nats, authority: Authority) -> None:
    kept, lacking, orphan = make_tenant("kept"), make_tenant("lacking"), make_tenant("orphan")
    await authority.push(kept)
    await authority.push(orphan)
    async with (
        connected(shared.url, shared.operator.credentials(kept)) as undisturbed,
        connected(shared.url, shared.operator.control_credentials()) as control,
        connected(shared.url, shared.operator.credentials(orphan)) as ended,
    ):
        assert await authority.reconcile([kept, lacking]) == Reconciled(pushed=1, removed=1)
        await until(lambda: not ended.is_connected)
        for client in (undisturbed, control):
            await client.flush()
            assert client.is_connected
    assert await shared.admits(lacking)
    assert not await shared.admits(orphan)
    assert await authority.reconcile([kept, lacking]) == Reconciled()


async def test_reconcile_leaves_the_installations_own_accounts_alone(
    shared: Nats, authority: Authority
) -> None:
    await authority.reconcile([])
    held = json.loads(await ask(shared, "$SYS.REQ.CLAIMS.LIST"))["data"]
    assert set(held) == {shared.operator.system_account()[0], shared.operator.control_account()[0]}


async def test_reconcile_mends_an_account_that_differs_even_if_it_looks_newer(
    shared: Nats, authority: Authority
) -> None:
    tenant = make_tenant("acme")
    signer = KeyPair.derive(shared.seed, "operator-signing", NkeyKind.operator)
    claims = read_token(shared.operator.account_jwt(tenant))
    future = claims["iat"] + 1000
    claims["iat"] = future
    claims["nats"]["limits"]["conn"] = 0
    await ask(shared, "$SYS.REQ.CLAIMS.UPDATE", write_token(signer, claims).encode())
    assert not await shared.admits(tenant)
    assert await authority.reconcile([tenant]) == Reconciled(pushed=1)
    assert await shared.admits(tenant)
    lookup = f"$SYS.REQ.ACCOUNT.{shared.operator.account_id(tenant)}.CLAIMS.LOOKUP"
    assert read_token((await ask(shared, lookup)).decode())["iat"] == future + 1
    assert await authority.reconcile([tenant]) == Reconciled()


async def test_reconcile_replaces_an_account_that_a_stranger_signed(
    shared: Nats, authority: Authority
) -> None:
    tenant = make_tenant("acme")
    claims = read_token(shared.operator.account_jwt(tenant))
    forged = write_token(KeyPair.random(NkeyKind.operator), claims)
    await ask(shared, "$SYS.REQ.CLAIMS.UPDATE", forged.encode())
    assert not await shared.admits(tenant)
    assert await authority.reconcile([tenant]) == Reconciled(pushed=1)
    assert await shared.admits(tenant)


async def test_reconcile_spares_an_account_that_another_process_has_just_made(
    shared: Nats, authority: Authority
) -> None:
    """Otherwise a process that starts would delete the tenant created since it read the store."""
    tenant = make_tenant("acme")
    await authority.push(tenant)
    async with Authority(shared.url, shared.operator) as careful:
        assert await careful.reconcile([]) == Reconciled()
        assert await shared.admits(tenant)
        read = shared.clock.now()
        shared.clock.offset += 120
        try:
            assert await careful.reconcile([], as_of=read) == Reconciled(), "the list may be older than it"
            assert await careful.reconcile([]) == Reconciled(removed=1)
        finally:
            shared.clock.offset -= 120
    assert not await shared.admits(tenant)


async def test_reconcile_takes_many_accounts(shared: Nats, authority: Authority) -> None:
    tenants = [make_tenant(f"t{number}") for number in range(60)]
    assert await authority.reconcile(tenants) == Reconciled(pushed=60)
    assert await authority.reconcile(tenants) == Reconciled()


async def test_reconcile_removes_many_accounts_only_when_told(shared: Nats, authority: Authority) -> None:
    """Another store may know them: one that is empty, or was mistyped, is no reason to remove them."""
    tenants = [make_tenant(f"t{number}") for number in range(30)]
    await authority.reconcile(tenants[:-1])
    assert await authority.reconcile(tenants[MOST_STRANGERS + 1 :]) == Reconciled(
        pushed=1, kept=MOST_STRANGERS + 1
    )
    assert await shared.admits(tenants[0])
    assert await shared.admits(tenants[-1])
    assert await authority.reconcile(tenants[MOST_STRANGERS + 1 :], many=True) == Reconciled(
        removed=MOST_STRANGERS + 1
    )
    assert not await shared.admits(tenants[0])


async def test_accounts_of_another_seed_are_removed_however_many_for_nobody_can_use_them(
    shared: Nats, authority: Authority
) -> None:
    other = Operator(b"o" * 32, shared.clock)
    for number in range(MOST_STRANGERS + 5):
        jwt = other.account_jwt(make_tenant(f"t{number}"))
        await ask(shared, "$SYS.REQ.CLAIMS.UPDATE", jwt.encode())
    assert await authority.reconcile([]) == Reconciled(removed=MOST_STRANGERS + 5)


async def test_the_mark_of_the_installation_stays_and_is_replaced(shared: Nats, authority: Authority) -> None:
    await authority.put_mark(Mark("one", 1))
    await authority.put_mark(Mark("one", 7))
    assert await authority.mark() == Mark("one", 7)
    assert await authority.reconcile([]) == Reconciled()
    assert await authority.mark() == Mark("one", 7)
    assert (await authority.survey([])).strangers == 0


async def test_a_survey_counts_what_no_tenant_owns_and_finds_the_marks_of_other_seeds(
    shared: Nats, authority: Authority
) -> None:
    known, stranger = make_tenant("known"), make_tenant("stranger")
    other = Operator(b"o" * 32, shared.clock)
    await authority.push(known)
    await authority.push(stranger)
    for jwt in (other.installation_account(Mark("old", 3))[1], other.account_jwt(make_tenant("theirs"))):
        await ask(shared, "$SYS.REQ.CLAIMS.UPDATE", jwt.encode())
    assert await authority.survey([known]) == Survey(1, [Mark("old", 3)])
    async with Authority(shared.url, shared.operator) as careful:
        assert (await careful.survey([known])).strangers == 0, "it may be a new tenant's"
        assert (await careful.survey([])).strangers == 2, "a store without tenants is another one"


async def test_accounts_are_found_again_after_a_restart_and_the_authority_comes_back(tmp_path: Path) -> None:
    tenant = make_tenant("acme")
    async with running_nats(tmp_path, seed=SEED) as first:
        listen = first.url.removeprefix("nats://")
        async with connected(first.url, first.operator.system_credentials()) as watching:
            authority = first.authority()
            await authority.open()
            await authority.push(tenant)
    await until(lambda: not watching.is_connected)
    async with running_nats(tmp_path, seed=SEED, listen=listen) as second:
        assert await second.admits(tenant)
        assert await authority.reconcile([tenant]) == Reconciled()
        await authority.close()


async def test_while_nats_is_away_everything_is_unavailable(tmp_path: Path) -> None:
    tenant = make_tenant("acme")
    async with running_nats(tmp_path) as nats:
        authority = Authority(nats.url, nats.operator, answer_seconds=0.1)
        await authority.open()
        await authority.push(tenant)
    for call in (authority.push(tenant), authority.remove(tenant), authority.reconcile([tenant])):
        with pytest.raises(ArtcafeError) as raised:
            await call
        assert raised.value.code is Code.unavailable
    await authority.close()
    with pytest.raises(ArtcafeError, match="closed"):
        await authority.push(tenant)
    await authority.close()
