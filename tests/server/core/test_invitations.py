"""Invitations: a token lets one human in, once, into the role that was offered."""

from dataclasses import replace

import pytest

from artcafe.server.domain.access import LADDER
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.invitation import read_token
from artcafe.server.domain.operators import local_user
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Member, Role
from artcafe.server.store.invitations import InvitationTable, Lost
from artcafe.server.store.item import Json
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, OTHER, Installation, acting
from tests.kit.outcomes import outcome, race, refused

ADAM = UserId("adam")
PAUL = User(UserId("paul"), "paul@example.com", remote="192.0.2.7", request="r-1")
NOON = "2025-11-24T16:00:00.000Z"


async def invite(installation: Installation, human: Human, role: Role = Role.member, days: int = 7) -> str:
    """The token of a new invitation."""
    _, token = await installation.process.invitations.create(human, role, "", days)
    return f"{token}"


async def open_ones(installation: Installation, human: Human) -> list[str]:
    return [one.id for one in (await installation.process.invitations.list(human, 10, None)).items]


async def roles(installation: Installation, human: Human) -> dict[str, Role]:
    return {member.user: member.role for member in await installation.process.tenants.members(human)}


class TestCreate:
    async def test_an_invitation_says_everything_but_its_secret(
        self, installation: Installation, olivia: Human
    ) -> None:
        invitation, token = await installation.process.invitations.create(
            olivia, Role.admin, "paul@example.com", 2
        )

        assert (invitation.tenant, invitation.role, invitation.email) == (
            ACME,
            Role.admin,
            "paul@example.com",
        )
        assert (invitation.created_by, invitation.created_at) == ("olivia", NOON)
        assert invitation.expires_at == "2025-11-26T16:00:00.000Z"
        assert (token.tenant, token.id) == (ACME, invitation.id)
        assert (await installation.process.invitations.list(olivia, 10, None)).items == [invitation]
        of = await installation.partition()
        stored = [await items(installation, pk) for pk in (f"T#{of}", f"LOG#{of}")]
        assert invitation.digest in f"{stored}"
        assert token.secret not in f"{stored}"

    async def test_no_two_tokens_are_alike(self, installation: Installation, olivia: Human) -> None:
        tokens = [read_token(await invite(installation, olivia)) for _ in range(20)]

        assert len({token.secret for token in tokens if token is not None}) == len(tokens)

    @pytest.mark.parametrize("role", [Role.viewer, Role.member])
    async def test_only_who_manages_members_may(
        self, installation: Installation, olivia: Human, role: Role
    ) -> None:
        await invite(installation, olivia)
        human = acting(olivia, role)
        invitations = installation.process.invitations

        with refused(Code.forbidden):
            await invite(installation, human, Role.viewer)
        with refused(Code.forbidden):
            await invitations.list(human, 10, None)
        with refused(Code.forbidden):
            await invitations.delete(human, (await open_ones(installation, olivia))[0])
        assert len(await open_ones(installation, olivia)) == 1

    async def test_only_an_owner_invites_owners(self, installation: Installation, olivia: Human) -> None:
        with refused(Code.forbidden):
            await invite(installation, acting(olivia, Role.admin), Role.owner)
        assert await open_ones(installation, olivia) == []

        await invite(installation, acting(olivia, Role.admin), Role.admin)
        await invite(installation, olivia, Role.owner)


class TestAccept:
    async def test_whoever_brings_the_token_becomes_what_was_offered(
        self, installation: Installation, olivia: Human
    ) -> None:
        text = await invite(installation, olivia, Role.admin)
        installation.clock.advance(60)

        member = await installation.process.invitations.accept(PAUL, text)

        assert member == Member(
            tenant=ACME,
            user=PAUL.id,
            role=Role.admin,
            email=PAUL.email,
            joined_at="2025-11-24T16:01:00.000Z",
        )
        assert (await installation.process.tenants.enter(PAUL, ACME)).role is Role.admin
        assert await open_ones(installation, olivia) == []

    async def test_it_is_good_once(self, installation: Installation, olivia: Human) -> None:
        text = await invite(installation, olivia)
        users = [User(UserId(f"user-{number}")) for number in range(5)]

        outcomes = await race(*(installation.process.invitations.accept(user, text) for user in users))

        assert outcomes.count(Code.not_found) == len(users) - 1
        assert len(await roles(installation, olivia)) == 2

    async def test_whatever_is_wrong_with_a_token_is_told_in_the_same_words(
        self, installation: Installation, olivia: Human
    ) -> None:
        nina = await installation.make_tenant(OTHER, "nina")
        accept = installation.process.invitations.accept
        good = await invite(installation, olivia)
        used, withdrawn = await invite(installation, olivia), await invite(installation, olivia)
        expired = await invite(installation, olivia, days=1)
        foreign = await invite(installation, nina)
        await accept(User(UserId("ann")), used)
        await installation.process.invitations.delete(olivia, withdrawn.split(".")[1])
        installation.clock.advance(86_400)
        tenant, name, secret = good.split(".")
        other_secret = foreign.split(".")[2]

        words = set()
        for wrong in (
            used,
            withdrawn,
            expired,
            f"{tenant}.{name}.{other_secret}",
            f"{tenant}.{name}.{secret[:-1]}",
            f"{tenant}.nothing.{secret}",
            f"nowhere.{name}.{secret}",
            f"{OTHER}.{name}.{secret}",
            f" {good}",
            f"{good}\n",
            f"{tenant}.{name}",
            "",
            "é.\x00.#",
        ):
            with refused(Code.not_found) as refusal:
                await accept(PAUL, wrong)
            words.add(refusal.message)

        assert len(words) == 1
        assert set(await roles(installation, olivia)) == {"olivia", "ann"}
        await accept(PAUL, good)

    @pytest.mark.parametrize("known", LADDER)
    @pytest.mark.parametrize("offered", LADDER)
    async def test_it_raises_a_role_and_never_lowers_one(
        self, installation: Installation, olivia: Human, known: Role, offered: Role
    ) -> None:
        before = await installation.process.tenants.put_member(olivia, PAUL.id, known, "old@example.com")
        text = await invite(installation, olivia, offered)
        accept = installation.process.invitations.accept

        if LADDER.index(offered) > LADDER.index(known):
            member = await accept(PAUL, text)
            assert (member.role, member.version) == (offered, 2)
            assert (member.joined_at, member.email) == (before.joined_at, PAUL.email)
            assert await open_ones(installation, olivia) == []
        else:
            with refused(Code.conflict):
                await accept(PAUL, text)
            assert await installation.process.tenants.member(olivia, PAUL.id) == before
            assert len(await open_ones(installation, olivia)) == 1

    async def test_a_wrong_secret_does_not_tell_who_is_a_member(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.process.tenants.put_member(olivia, PAUL.id, Role.owner, "")
        tenant, name, secret = (await invite(installation, olivia)).split(".")

        with refused(Code.not_found):
            await installation.process.invitations.accept(PAUL, f"{tenant}.{name}.{'A' * len(secret)}")


async def lower(installation: Installation, olivia: Human, user: UserId, role: Role | None) -> None:
    """Give a member another role, or remove it."""
    tenants = installation.process.tenants
    if role is None:
        await tenants.remove_member(olivia, user)
    else:
        await tenants.put_member(olivia, user, role, "")


class TestTheMakersRight:
    @pytest.fixture
    async def adam(self, installation: Installation, olivia: Human) -> Human:
        """Another owner."""
        await installation.process.tenants.put_member(olivia, ADAM, Role.owner, "")
        return Human(ACME, ADAM, Role.owner)

    @pytest.mark.parametrize(
        ("becomes", "left"),
        [
            (Role.owner, [Role.owner, Role.admin, Role.viewer]),
            (Role.admin, [Role.admin, Role.viewer]),
            (Role.member, []),
            (Role.viewer, []),
            (None, []),
        ],
    )
    async def test_what_the_maker_may_make_no_more_is_withdrawn(
        self, installation: Installation, olivia: Human, adam: Human, becomes: Role | None, left: list[Role]
    ) -> None:
        offered = [Role.owner, Role.admin, Role.viewer]
        tokens = [await invite(installation, adam, role) for role in offered]
        other = await invite(installation, olivia)
        installation.clock.advance(1)

        await lower(installation, replace(olivia, request="r-9"), ADAM, becomes)

        gone = [token for token, role in zip(tokens, offered, strict=True) if role not in left]
        open_now = await open_ones(installation, olivia)
        assert sorted(open_now) == sorted(
            token.split(".")[1] for token in (*tokens, other) if token not in gone
        )
        entries = (await installation.process.audit.list(olivia, 50, None)).items
        assert sorted(
            (entry.target, entry.actor, entry.request)
            for entry in entries
            if entry.action == "invitation.withdraw"
        ) == sorted((token.split(".")[1], "olivia", "r-9") for token in gone)
        for token in tokens:
            accepting = installation.process.invitations.accept(User(UserId(f"for {token}")), token)
            assert (await outcome(accepting) is Code.not_found) == (token in gone)

    async def test_who_got_the_right_back_before_they_are_withdrawn_keeps_them(
        self, installation: Installation, olivia: Human, adam: Human, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where it is another tenant of the same id by then."""
        withdraw = InvitationTable.withdraw

        async def late(self: InvitationTable, tenant: TenantId, maker: UserId, lost: Lost) -> None:
            monkeypatch.setattr(InvitationTable, "withdraw", withdraw)
            await installation.process.tenants.put_member(olivia, ADAM, Role.owner, "")
            await invite(installation, adam)
            await self.withdraw(tenant, maker, lost)

        monkeypatch.setattr(InvitationTable, "withdraw", late)

        await lower(installation, olivia, ADAM, None)

        assert len(await open_ones(installation, olivia)) == 1

    @pytest.mark.parametrize("becomes", [Role.member, None])
    async def test_a_token_that_could_not_be_withdrawn_is_refused_in_the_same_words(
        self,
        installation: Installation,
        olivia: Human,
        adam: Human,
        becomes: Role | None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        token = await invite(installation, adam)
        installation.store.writes_left = 1  # The membership, and nothing after it.

        await lower(installation, olivia, ADAM, becomes)
        installation.store.heal()

        assert "stay listed" in caplog.text
        assert len(await open_ones(installation, olivia)) == 1
        words = set()
        for wrong in (token, f"{ACME}.nothing.{token.rpartition('.')[2]}"):
            with refused(Code.not_found) as refusal:
                await installation.process.invitations.accept(PAUL, wrong)
            words.add(refusal.message)
        assert len(words) == 1

    async def test_all_of_them_are_withdrawn(
        self, installation: Installation, olivia: Human, adam: Human
    ) -> None:
        for _ in range(30):
            await invite(installation, adam)
        kept = await invite(installation, olivia)

        await installation.process.tenants.remove_member(olivia, ADAM)

        assert await open_ones(installation, olivia) == [kept.split(".")[1]]

    async def test_who_is_lowered_brings_an_invitation_of_its_own_to_no_end(
        self, installation: Installation, olivia: Human, adam: Human
    ) -> None:
        token = await invite(installation, adam, Role.owner)
        installation.store.writes_left = 1
        await lower(installation, olivia, ADAM, Role.viewer)
        installation.store.heal()

        with refused(Code.not_found):
            await installation.process.invitations.accept(User(ADAM), token)

    async def test_by_a_group_it_is_good_while_the_settings_give_the_group_the_right(
        self, installation: Installation, olivia: Human
    ) -> None:
        """Whether the maker still is in the group is known to the issuer alone."""
        installation.let_in(f"ops={ACME}:admin")
        ada = await installation.process.tenants.enter(User(UserId("ada"), groups=frozenset({"ops"})), ACME)
        first, second, third = [await invite(installation, ada) for _ in range(3)]
        await installation.process.invitations.accept(User(UserId("ann")), first)

        # A stored membership that comes and goes is no reason, since the right was not its.
        await installation.process.tenants.put_member(olivia, UserId("ada"), Role.viewer, "")
        await installation.process.tenants.remove_member(olivia, UserId("ada"))
        await installation.process.invitations.accept(User(UserId("bob")), second)

        for settings in (f"ops={ACME}:member", f"ops={OTHER}:owner", f"other={ACME}:owner"):
            installation.let_in(settings)
            with refused(Code.not_found):
                await installation.process.invitations.accept(PAUL, third)
        installation.let_in(f"ops={ACME}:owner")
        await installation.process.invitations.accept(PAUL, third)

    async def test_of_who_owns_the_machine_it_is_good(
        self, installation: Installation, olivia: Human
    ) -> None:
        owner = User(local_user(Role.owner), "owner@localhost", ACME)
        await installation.process.tenants.admit(ACME, owner, Role.owner)
        human = await installation.process.tenants.enter(owner, ACME)

        member = await installation.process.invitations.accept(PAUL, await invite(installation, human))

        assert member.role is Role.member


async def test_each_step_is_in_the_audit_under_who_took_it(installation: Installation, olivia: Human) -> None:
    text = await invite(installation, replace(olivia, remote="192.0.2.1", request="r-0"))
    installation.clock.advance(1)
    await installation.process.invitations.accept(PAUL, text)
    installation.clock.advance(1)
    await invite(installation, olivia)
    [last] = await open_ones(installation, olivia)
    installation.clock.advance(1)
    await installation.process.invitations.delete(olivia, last)

    entries = (await installation.process.audit.list(olivia, 10, None)).items

    first = text.split(".")[1]
    assert [(e.action, e.target, e.actor, e.remote, e.request) for e in entries if e.target != ACME] == [
        ("invitation.delete", last, "olivia", "", ""),
        ("invitation.create", last, "olivia", "", ""),
        ("invitation.accept", first, "paul", "192.0.2.7", "r-1"),
        ("invitation.create", first, "olivia", "192.0.2.1", "r-0"),
    ]
    assert all(secret not in f"{entries}" for secret in text.split(".")[2:])


async def test_they_go_with_their_tenant(installation: Installation, olivia: Human) -> None:
    text = await invite(installation, olivia)
    await installation.delete_tenant(olivia)
    again = await installation.make_tenant()

    with refused(Code.not_found):
        await installation.process.invitations.accept(PAUL, text)

    assert await open_ones(installation, again) == []


async def items(installation: Installation, pk: str) -> list[dict[str, Json]]:
    """The data of a partition."""
    return [item.data for item in (await installation.memory.query(pk)).items]
