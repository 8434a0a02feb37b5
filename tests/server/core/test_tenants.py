"""Tenants and members: who gets in, who may change what, and that the bus agrees with the store."""

import pytest
from msgspec.structs import replace

from artcafe.server.bus.memory import MemoryBus
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.legal import Acceptance, Document, Edition
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role, Tenant, TenantRules
from artcafe.server.domain.version import tag
from artcafe.server.store.members import MemberTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.installation import ACME, OTHER, Installation, acting
from tests.kit.outcomes import outcome, race, refused
from tests.kit.seats import seat

OLIVIA = User(UserId("olivia"), "olivia@example.com")
PAUL = User(UserId("paul"), "paul@example.com")

PUBLISHED = {
    Document.terms: Edition("v1", "https://example.com/terms"),
    Document.privacy: Edition("p1"),
}

BELOW_ADMIN = [Role.viewer, Role.member]
BELOW_OWNER = [*BELOW_ADMIN, Role.admin]


async def has_account(bus: MemoryBus, tenant: Tenant) -> bool:
    """Whether one can be connected as this tenant."""
    if await outcome(bus.link(tenant)) is Code.unavailable:
        return False
    bus.release(tenant.id)
    return True


async def stored(installation: Installation, tenant: TenantId = ACME) -> Tenant | None:
    return await TenantTable(Table(installation.store)).get(tenant)


class TestEnter:
    async def test_the_only_tenant_needs_no_name(self, installation: Installation, olivia: Human) -> None:
        entered = await installation.process.tenants.enter(OLIVIA, None)

        assert entered == Human(ACME, OLIVIA.id, Role.owner, OLIVIA.email)

    async def test_the_wanted_one_is_entered_in_the_role_one_has_there(
        self, installation: Installation, olivia: Human
    ) -> None:
        other = await installation.make_tenant(OTHER, "nina")
        await installation.process.tenants.put_member(other, OLIVIA.id, Role.viewer, "")

        assert (await installation.process.tenants.enter(OLIVIA, OTHER)).role is Role.viewer
        assert (await installation.process.tenants.enter(OLIVIA, ACME)).role is Role.owner

    async def test_several_and_none_named_is_a_bad_request(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.make_tenant(OTHER)

        with refused(Code.bad_request):
            await installation.process.tenants.enter(OLIVIA, None)

    async def test_the_tokens_hint_picks_and_the_wanted_one_goes_before_it(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.make_tenant(OTHER)
        hinted = User(OLIVIA.id, "", OTHER)

        assert (await installation.process.tenants.enter(hinted, None)).tenant == OTHER
        assert (await installation.process.tenants.enter(hinted, ACME)).tenant == ACME

    async def test_a_hint_makes_no_membership(self, installation: Installation, olivia: Human) -> None:
        """Whatever claim an issuer writes into a token: the store says who belongs where."""
        with refused(Code.forbidden):
            await installation.process.tenants.enter(User(PAUL.id, "", ACME), None)
        with refused(Code.forbidden):
            await installation.process.tenants.enter(User(OLIVIA.id, "", "nowhere"), None)

    async def test_a_foreign_tenant_and_one_that_is_not_are_refused_in_the_same_words(
        self, installation: Installation, olivia: Human
    ) -> None:
        enter = installation.process.tenants.enter
        with refused(Code.forbidden) as foreign:
            await enter(PAUL, ACME)
        with refused(Code.forbidden) as nowhere:
            await enter(PAUL, "nowhere")
        with refused(Code.forbidden) as none:
            await enter(PAUL, None)

        assert foreign.message == nowhere.message == none.message

    async def test_a_member_that_is_not_active_stays_outside(
        self, installation: Installation, olivia: Human
    ) -> None:
        table = Table(installation.store)
        known = await MemberTable(table).get(ACME, OLIVIA.id)
        assert known is not None
        await seat(table, replace(known, active=False))

        with refused(Code.forbidden):
            await installation.process.tenants.enter(OLIVIA, ACME)
        with refused(Code.forbidden):
            await installation.process.tenants.enter(OLIVIA, None)


class TestCreate:
    async def test_the_tenant_is_there_with_its_owner_and_its_account(
        self, installation: Installation
    ) -> None:
        tenant = await installation.process.tenants.create(OLIVIA, None, {"name": "Acme & Sons!"})

        assert tenant.id == "acme-sons"
        assert tenant.subscription_tier == "enterprise"
        assert tenant.created_at == tenant.updated_at == "2025-11-24T16:00:00.000Z"
        assert await stored(installation, tenant.id) == tenant
        assert await has_account(installation.bus, tenant)
        assert await installation.process.tenants.enter(OLIVIA, "acme-sons") == Human(
            tenant.id, OLIVIA.id, Role.owner, OLIVIA.email
        )

    async def test_a_name_that_is_taken_gets_another_id(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenant = await installation.process.tenants.create(PAUL, None, {"name": "acme"})

        assert tenant.id.startswith("acme-")
        assert tenant.id != ACME

    async def test_a_name_without_a_letter_gets_an_id_all_the_same(self, installation: Installation) -> None:
        tenant = await installation.process.tenants.create(PAUL, None, {"name": "日本"})

        assert tenant.id.startswith("id")
        assert tenant.name == "日本"

    @pytest.mark.parametrize(("deleting", "words"), [(False, "There is"), (True, "being deleted")])
    async def test_a_wanted_id_that_is_taken_is_a_conflict_and_asks_nothing_of_the_bus(
        self,
        installation: Installation,
        olivia: Human,
        monkeypatch: pytest.MonkeyPatch,
        deleting: bool,
        words: str,
    ) -> None:
        if deleting:
            await installation.process.deletions.begin(olivia)
        before = await stored(installation)
        accounts = set(installation.bus._accounts)

        async def never(tenant: TenantRules) -> None:
            raise AssertionError("nobody asked for an account of it")

        monkeypatch.setattr(installation.bus, "push", never)
        monkeypatch.setattr(installation.bus, "remove", never)
        with refused(Code.conflict) as refusal:
            await installation.process.tenants.create(PAUL, "acme", {"name": "mine"})

        assert words in refusal.message
        assert await stored(installation) == before
        assert installation.bus._accounts == accounts

    @pytest.mark.parametrize("wanted", ["a.b", "a b", "-a", "é", "a" * 64, "a#b", "a/b"])
    async def test_an_id_outside_the_rules_is_refused(self, installation: Installation, wanted: str) -> None:
        with refused(Code.validation_failed):
            await installation.process.tenants.create(PAUL, wanted, {"name": "x"})

        assert contents(installation.memory) == set()

    async def test_an_unknown_tier_is_refused(self, installation: Installation, olivia: Human) -> None:
        with refused(Code.validation_failed):
            await installation.process.tenants.create(
                PAUL, None, {"name": "x", "subscription_tier": "platinum"}
            )
        with refused(Code.validation_failed):
            await installation.process.tenants.change(olivia, {"subscription_tier": "platinum"})

    async def test_of_many_who_create_one_id_at_once_exactly_one_wins(
        self, installation: Installation
    ) -> None:
        users = [User(UserId(f"user-{number}")) for number in range(6)]

        outcomes = await race(
            *(installation.process.tenants.create(user, "acme", {"name": "x"}) for user in users)
        )

        winners = [won for won in outcomes if isinstance(won, Tenant)]
        assert len(winners) == 1
        assert outcomes.count(Code.conflict) == len(users) - 1
        assert await stored(installation) == winners[0]
        assert installation.bus._accounts == {(winners[0].id, winners[0].account)}

    async def test_without_an_answer_of_the_store_the_account_stays_until_the_next_start(
        self, installation: Installation
    ) -> None:
        """The record may be there: then it can be connected to. If not, reconciling removes the account."""
        await installation.process.installed.join()
        installation.store.writes_left = 0
        with refused(Code.unavailable):
            await installation.process.tenants.create(OLIVIA, "acme", {"name": "x"})
        installation.store.heal()
        assert len(installation.bus._accounts) == 1

        await installation.process.installed.tend()

        assert installation.bus._accounts == set()


class TestOfUser:
    async def test_the_tenants_of_a_user_are_those_it_belongs_to(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.make_tenant(OTHER, "nina")
        third = await installation.make_tenant(TenantId("third"))

        listed = await installation.process.tenants.of_user(OLIVIA)
        assert [tenant.id for tenant in listed.items] == [ACME, third.tenant]
        assert (await installation.process.tenants.of_user(PAUL)).items == []


class TestDocuments:
    """What the operator publishes has to be accepted, in its current version."""

    async def test_where_nothing_is_published_nothing_is_asked_for(
        self, installation: Installation, olivia: Human
    ) -> None:
        assert (await installation.process.legal.list(olivia, 10, None)).items == []
        with refused(Code.validation_failed) as refusal:
            await installation.process.tenants.create(PAUL, None, {"name": "x"}, {Document.terms: "v1"})
        assert "terms_version" in refusal.message

    @pytest.mark.parametrize(
        ("versions", "missing"),
        [
            ({}, "terms_version"),
            ({Document.terms: "v1"}, "privacy_version"),
            ({Document.terms: "v0", Document.privacy: "p1"}, "terms_version"),
            ({Document.terms: "v1", Document.privacy: "p2"}, "privacy_version"),
        ],
        ids=str,
    )
    async def test_a_tenant_that_does_not_accept_all_of_it_is_not_made(
        self, installation: Installation, versions: dict[Document, str], missing: str
    ) -> None:
        installation.documents |= PUBLISHED

        with refused(Code.validation_failed) as refusal:
            await installation.process.tenants.create(PAUL, None, {"name": "x"}, versions)

        document = Document(missing.removesuffix("_version"))
        assert missing in refusal.message
        assert PUBLISHED[document].version in refusal.message
        assert contents(installation.memory) == set()
        assert installation.bus._accounts == set()

    async def test_what_was_accepted_is_recorded_with_who_when_and_from_where(
        self, installation: Installation
    ) -> None:
        installation.documents |= PUBLISHED
        user = User(PAUL.id, PAUL.email, remote="192.0.2.7")
        versions = {Document.terms: "v1", Document.privacy: "p1"}

        tenant = await installation.process.tenants.create(user, "acme", {"name": "x"}, versions)

        human = await installation.process.tenants.enter(user, tenant.id)
        assert (await installation.process.legal.list(human, 10, None)).items == [
            Acceptance(
                document=document,
                version=versions[document],
                tenant=ACME,
                user=PAUL.id,
                email=PAUL.email,
                at="2025-11-24T16:00:00.000Z",
                remote="192.0.2.7",
            )
            for document in (Document.privacy, Document.terms)
        ]


class TestChange:
    async def test_it_sets_what_is_given_and_nothing_else(
        self, installation: Installation, olivia: Human
    ) -> None:
        before = await stored(installation)
        assert before is not None
        installation.clock.advance(60)

        changed = await installation.process.tenants.change(
            olivia, {"name": "New", "description": "what it is"}
        )

        assert changed == replace(
            before,
            name="New",
            description="what it is",
            version=2,
            updated_at="2025-11-24T16:01:00.000Z",
        )
        assert await installation.process.tenants.get(olivia) == changed

    @pytest.mark.parametrize("role", BELOW_ADMIN)
    async def test_only_admins_and_owners_may(
        self, installation: Installation, olivia: Human, role: Role
    ) -> None:
        with refused(Code.forbidden):
            await installation.process.tenants.change(acting(olivia, role), {"name": "New"})

        tenant = await stored(installation)
        assert tenant is not None
        assert tenant.name == "acme"

    async def test_one_that_names_an_older_version_changes_nothing(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenants = installation.process.tenants
        read = await tenants.get(olivia)
        first = await tenants.change(olivia, {"name": "first"}, tag(read))

        with refused(Code.precondition_failed):
            await tenants.change(olivia, {"name": "second"}, tag(read))
        with refused(Code.precondition_failed):
            await installation.process.deletions.begin(olivia, tag(read))

        assert await tenants.get(olivia) == first
        assert await has_account(installation.bus, first)
        await installation.process.deletions.begin(olivia, tag(first))
        gone = await stored(installation)
        assert gone is not None
        assert gone.status == "deleting"
