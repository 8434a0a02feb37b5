"""Agents log in: every attack on the three ways in that is decided in this room, by name."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
import pytest

from artcafe.server.core.login import LIFETIME
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.principal import AgentPrincipal, Human
from artcafe.server.domain.tenant import Status
from artcafe.server.identity.ssh import LEAST_SPENT
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.near import TTL_SECONDS
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.challenge import ANY_CONNECTION, VERSION, Challenge
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.installation import ACME, OTHER, Installation, Process
from tests.kit.outcomes import outcome, race, refused
from tests.kit.records import ENTRY
from tests.kit.signing import KeyPair

A1, A2 = AgentId("a1"), AgentId("a2")
SERVER = "wss://pubsub.example.com"
CHOSEN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@pytest.fixture
def key() -> KeyPair:
    return KeyPair()


@pytest.fixture
async def a1(installation: Installation, olivia: Human, key: KeyPair) -> AgentPrincipal:
    """The agent `a1` of `acme`, as it is when it proved its key."""
    await installation.make_agent(olivia, "a1", key)
    return AgentPrincipal(ACME, A1, key.fingerprint)


@pytest.fixture
def process(installation: Installation) -> Process:
    return installation.process


async def set_tenant(installation: Installation, tenant: TenantId, **fields: object) -> None:
    """Change the tenant's record, and let the first process hear of it."""
    tenants = TenantTable(Table(installation.memory))
    await tenants.change(tenant, lambda record: msgspec.structs.replace(record, **fields), ENTRY)
    installation.process.directory.forget(Change(tenant, Kind.tenant, tenant))


async def allow_chosen(installation: Installation, tenant: TenantId, *, allowed: bool = True) -> None:
    await set_tenant(installation, tenant, allow_client_challenge=allowed)


def in_band(process: Process, connection: str = "c1") -> Challenge:
    """What a new connection of `a1` is sent."""
    return process.login.challenge(SERVER, ACME, A1, connection)


def fetched(process: Process, tenant: TenantId = ACME, agent: AgentId = A1) -> Challenge:
    """What the REST route answers."""
    return process.login.challenge(SERVER, tenant, agent)


async def answer_text(process: Process, text: str, key: KeyPair) -> AgentPrincipal:
    """Answer as `a1` of `acme`."""
    return await process.login.answer_text(ACME, A1, text, key.sign(text))


class TestInBand:
    async def test_the_right_key_is_let_in(self, process: Process, key: KeyPair, a1: AgentPrincipal) -> None:
        challenge = in_band(process)

        assert await process.login.answer(challenge, key.sign(challenge.text())) == a1

    async def test_the_text_names_all_it_is_good_for(
        self, installation: Installation, process: Process
    ) -> None:
        challenge = in_band(process, "c7")

        now = int(installation.clock.now())
        assert challenge == Challenge(SERVER, "acme", "a1", "c7", challenge.nonce, now + LIFETIME)
        assert Challenge.parse(challenge.text()) == challenge
        assert len(base64.urlsafe_b64decode(challenge.nonce + "=")) == 32

    async def test_no_two_challenges_are_alike(self, process: Process) -> None:
        assert len({in_band(process).nonce for _ in range(50)}) == 50

    async def test_an_agent_that_does_not_exist_is_challenged_too(self, process: Process) -> None:
        """Nobody learns from a challenge which agents and tenants there are."""
        challenge = process.login.challenge(SERVER, TenantId("nowhere"), AgentId("nobody"))

        assert len(challenge.text()) > 100

    async def test_nothing_of_it_is_kept(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """The connection looks at one answer, and no other connection takes it."""
        challenge = in_band(process)
        before = contents(installation.memory)

        await process.login.answer(challenge, key.sign(challenge.text()))

        assert contents(installation.memory) == before

    async def test_an_answer_to_the_challenge_of_another_connection_is_refused(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        theirs, ours = in_band(process, "c1"), in_band(process, "c2")

        with refused(Code.unauthorized):
            await process.login.answer(ours, key.sign(theirs.text()))

    async def test_an_expired_challenge_is_refused(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        in_time, too_late = in_band(process), in_band(process)

        installation.clock.advance(LIFETIME - 0.001)
        assert await process.login.answer(in_time, key.sign(in_time.text())) == a1
        installation.clock.advance(1)
        with refused(Code.unauthorized):
            await process.login.answer(too_late, key.sign(too_late.text()))

    async def test_a_key_that_is_named_is_the_only_one_tried(
        self, installation: Installation, olivia: Human, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        second = KeyPair()
        await process.agents.add_key(olivia, A1, second.line)
        challenge = in_band(process)
        signature = second.sign(challenge.text())

        with refused(Code.unauthorized):
            await process.login.answer(challenge, signature, key.fingerprint)
        with refused(Code.unauthorized):
            await process.login.answer(challenge, signature, "SHA256:nobody's")
        assert process.verifier.tried == [key.line]
        assert process.verifier.verifications == 2 * LEAST_SPENT

        principal = await process.login.answer(challenge, signature, second.fingerprint)
        assert principal.fingerprint == second.fingerprint

    async def test_without_a_name_every_active_key_is_tried(
        self, olivia: Human, process: Process, a1: AgentPrincipal
    ) -> None:
        second = KeyPair()
        await process.agents.add_key(olivia, A1, second.line)
        challenge = in_band(process)

        principal = await process.login.answer(challenge, second.sign(challenge.text()))

        assert principal.fingerprint == second.fingerprint


class TestFetched:
    async def test_a_fetched_challenge_lets_in(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        assert await answer_text(process, fetched(process).text(), key) == a1

    async def test_it_may_be_answered_at_another_process(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        other = installation.start("p2")

        assert await answer_text(other, fetched(process).text(), key) == a1

    async def test_of_twenty_answers_at_once_at_two_processes_exactly_one_is_let_in(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        processes = [process, installation.start("p2")]
        text = fetched(process).text()

        outcomes = await race(*(answer_text(processes[n % 2], text, key) for n in range(20)))

        assert outcomes.count(a1) == 1
        assert outcomes.count(Code.unauthorized) == 19

    async def test_replay_is_refused_for_as_long_as_the_challenge_lives(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        text = fetched(process).text()
        await answer_text(process, text, key)

        for _ in range(LIFETIME + 5):
            with refused(Code.unauthorized):
                await answer_text(process, text, key)
            installation.clock.advance(1)

    async def test_replay_at_a_process_whose_clock_is_late_is_refused(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """What was spent is remembered longer than the challenge lives, for clocks that differ."""
        text = fetched(process).text()
        await answer_text(process, text, key)
        installation.clock.advance(LIFETIME + 20)
        await installation.memory.sweep()
        installation.clock.advance(-25)

        with refused(Code.unauthorized):
            await answer_text(process, text, key)

    async def test_a_challenge_that_was_never_issued_is_refused(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """Bug of the original: /auth/agent/verify accepted a challenge that was never issued."""
        ours = fetched(process)
        made_up = replace(ours, nonce=base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="))

        with refused(Code.unauthorized):
            await answer_text(process, made_up.text(), key)

    async def test_a_challenge_of_another_installation_is_refused(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        stranger = installation.start("p2", secret=b"another secret of 32 bytes and m")

        with refused(Code.unauthorized):
            await answer_text(process, fetched(stranger).text(), key)

    @pytest.mark.parametrize(
        "tampered",
        [
            {"server": "wss://other.example.com"},
            {"tenant": "acme-2"},
            {"agent": "a2"},
            {"connection": "c1"},
            {"expires": 1_764_000_031},
            {"expires": 9_999_999_999},
        ],
        ids=" ".join,
    )
    async def test_a_challenge_with_one_value_changed_is_refused(
        self, process: Process, key: KeyPair, a1: AgentPrincipal, tampered: dict[str, str]
    ) -> None:
        ours = fetched(process)
        changed = msgspec.convert({**_fields(ours), **tampered}, Challenge)
        assert changed != ours

        with refused(Code.unauthorized):
            await answer_text(process, changed.text(), key)
        await answer_text(process, ours.text(), key)

    @pytest.mark.parametrize("value", ["server", "tenant", "agent", "connection"])
    async def test_a_challenge_for_something_else_rewritten_to_ours_is_refused(
        self, process: Process, key: KeyPair, a1: AgentPrincipal, value: str
    ) -> None:
        """The keyed hash covers every value: the nonce of one text fits no other."""
        ours = fetched(process)
        issued = {
            "server": process.login.challenge("wss://other.example.com", ACME, A1),
            "tenant": process.login.challenge(SERVER, OTHER, A1),
            "agent": process.login.challenge(SERVER, ACME, A2),
            "connection": in_band(process),
        }[value]
        rewritten = msgspec.convert({**_fields(ours), "nonce": issued.nonce}, Challenge)

        with refused(Code.unauthorized):
            await answer_text(process, rewritten.text(), key)

    async def test_a_nonce_with_any_character_changed_is_refused(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """Random part, keyed hash, and the two bits of the last character that say nothing."""
        ours = fetched(process)
        for place in range(43):
            for letter in {"A", "B", "C", "D", "_"} - {ours.nonce[place]}:
                nonce = ours.nonce[:place] + letter + ours.nonce[place + 1 :]
                with refused(Code.unauthorized):
                    await answer_text(process, replace(ours, nonce=nonce).text(), key)
        await answer_text(process, ours.text(), key)

    async def test_values_moved_over_a_boundary_are_refused(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """The keyed hash covers each value and where it ends."""
        shifted = process.login.challenge(SERVER + "a", TenantId("cme"), A1)
        moved = replace(shifted, server=SERVER, tenant="acme")

        with refused(Code.unauthorized):
            await answer_text(process, moved.text(), key)

    async def test_an_expired_challenge_is_refused(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        in_time, too_late = fetched(process), fetched(process)

        installation.clock.advance(LIFETIME - 0.001)
        assert await answer_text(process, in_time.text(), key) == a1
        installation.clock.advance(1)
        with refused(Code.unauthorized):
            await answer_text(process, too_late.text(), key)

    async def test_a_challenge_of_another_agent_is_refused(
        self, process: Process, olivia: Human, installation: Installation, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        second = KeyPair()
        await installation.make_agent(olivia, "a2", second)
        text = fetched(process, agent=A2).text()

        with refused(Code.unauthorized):
            await process.login.answer_text(ACME, A1, text, key.sign(text))
        with refused(Code.unauthorized):
            await process.login.answer_text(ACME, A2, text, key.sign(text))

    async def test_a_challenge_of_another_tenant_with_the_same_key_is_refused(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        nina = await installation.make_tenant(OTHER, "nina")
        await installation.make_agent(nina, "a1", key)
        theirs = fetched(process, OTHER).text()

        with refused(Code.unauthorized):
            await process.login.answer_text(ACME, A1, theirs, key.sign(theirs))

        principal = await process.login.answer_text(OTHER, A1, theirs, key.sign(theirs))
        assert principal == AgentPrincipal(OTHER, A1, key.fingerprint)


def _fields(challenge: Challenge) -> dict[str, object]:
    names = ("server", "tenant", "agent", "connection", "nonce", "expires")
    return {name: getattr(challenge, name) for name in names}


class TestOneWayInIsNotAnother:
    async def test_a_challenge_of_a_connection_answered_by_url_or_rest_is_refused(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        challenge = in_band(process)

        with refused(Code.unauthorized):
            await answer_text(process, challenge.text(), key)

        # Its own connection still may answer.
        assert await process.login.answer(challenge, key.sign(challenge.text())) == a1

    async def test_an_answer_to_a_fetched_challenge_proves_nothing_on_a_connection(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        by_rest = fetched(process)

        with refused(Code.unauthorized):
            await process.login.answer(in_band(process), key.sign(by_rest.text()))

    async def test_no_connection_is_called_as_any_connection(self, process: Process) -> None:
        assert fetched(process).connection == ANY_CONNECTION != in_band(process).connection

    async def test_where_clients_choose_a_text_of_ours_is_still_judged_as_ours(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        await allow_chosen(installation, ACME)
        ours = fetched(process)
        await answer_text(process, ours.text(), key)
        expired = fetched(process)
        installation.clock.advance(LIFETIME + 1)
        never_issued = replace(ours, expires=9_999_999_999)

        for text in (ours.text(), expired.text(), never_issued.text(), in_band(process).text()):
            with refused(Code.unauthorized):
                await answer_text(process, text, key)


class TestClientChosen:
    async def test_it_is_refused_unless_the_tenant_allows_it(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        with refused(Code.unauthorized):
            await answer_text(process, CHOSEN, key)

        await allow_chosen(installation, ACME)
        assert await answer_text(process, CHOSEN, key) == a1

        await allow_chosen(installation, ACME, allowed=False)
        with refused(Code.unauthorized):
            await answer_text(process, f"{CHOSEN} again", key)

    async def test_another_tenants_permission_does_not_count(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """Also where both know the same key: the text names no tenant, so each must allow it."""
        nina = await installation.make_tenant(OTHER, "nina")
        await installation.make_agent(nina, "a1", key)
        await allow_chosen(installation, OTHER)

        with refused(Code.unauthorized):
            await answer_text(process, CHOSEN, key)

    async def test_it_is_good_once_for_ever(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """Whoever reads the URL in an access log gets nowhere, however long they wait."""
        await allow_chosen(installation, ACME)
        await answer_text(process, CHOSEN, key)

        installation.clock.advance(10 * 365 * 86_400)
        await installation.memory.sweep()

        for again in (process, installation.start("p2")):
            with refused(Code.unauthorized):
                await answer_text(again, CHOSEN, key)

    async def test_once_is_once_whichever_of_its_keys_the_agent_used(
        self, installation: Installation, process: Process, olivia: Human, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        await allow_chosen(installation, ACME)
        second = KeyPair()
        await process.agents.add_key(olivia, A1, second.line)
        await answer_text(process, CHOSEN, key)

        with refused(Code.unauthorized):
            await answer_text(process, CHOSEN, second)

    async def test_another_agent_may_choose_the_same(
        self, installation: Installation, process: Process, olivia: Human, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        await allow_chosen(installation, ACME)
        second = KeyPair()
        await installation.make_agent(olivia, "a2", second)
        await answer_text(process, CHOSEN, key)

        principal = await process.login.answer_text(ACME, A2, CHOSEN, second.sign(CHOSEN))

        assert principal.agent == A2

    async def test_of_twenty_at_once_exactly_one_is_let_in(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        await allow_chosen(installation, ACME)
        processes = [process, installation.start("p2")]

        outcomes = await race(*(answer_text(processes[n % 2], CHOSEN, key) for n in range(20)))

        assert outcomes.count(a1) == 1
        assert outcomes.count(Code.unauthorized) == 19

    async def test_a_wrong_signature_does_not_spend_it(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        """Else whoever sees a URL could lock its agent out, and anybody could fill the store."""
        await allow_chosen(installation, ACME)
        before = contents(installation.memory)

        with refused(Code.unauthorized):
            await answer_text(process, CHOSEN, KeyPair())

        assert contents(installation.memory) == before
        assert await answer_text(process, CHOSEN, key) == a1

    @pytest.mark.parametrize("text", ["x", " ", "~" * 1024, "{}", "a=b&c", f"{VERSION} is not a line"])
    async def test_a_line_of_printable_ascii_may_be_chosen(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal, text: str
    ) -> None:
        await allow_chosen(installation, ACME)

        assert await answer_text(process, text, key) == a1

    @pytest.mark.parametrize(
        "text",
        ["", "x" * 1025, "a\n", "\na", "a\tb", "a\0b", "a\x7f", "é", "日本", "\ud800", "a\r\n", "\u2028"],
        ids=ascii,
    )
    async def test_no_other_text_may_be_chosen(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal, text: str
    ) -> None:
        await allow_chosen(installation, ACME)

        with refused(Code.unauthorized):
            await answer_text(process, text, key)

    @pytest.mark.parametrize(
        "text",
        [
            f"{VERSION}\n",
            f"{VERSION}\nserver=x\n",
            f"{VERSION}\nchosen by a client",
            f"{VERSION}\r\nserver=x\r\n",
            "artcafe-agent-auth/2\nserver=x\ntenant=acme\n",
        ],
        ids=ascii,
    )
    async def test_a_text_that_begins_like_one_of_ours_is_never_chosen(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal, text: str
    ) -> None:
        await allow_chosen(installation, ACME)

        with refused(Code.unauthorized):
            await answer_text(process, text, key)


Forbid = Callable[[Installation, Human, KeyPair], Awaitable[object]]


FORBIDDEN: dict[str, Forbid] = {
    "a revoked key": lambda i, h, k: i.process.agents.revoke_key(h, A1, k.fingerprint),
    "a removed key": lambda i, h, k: i.process.agents.remove_key(h, A1, k.fingerprint),
    "a disabled agent": lambda i, h, _: i.process.agents.change(h, A1, {"enabled": False}),
    "a deleted agent": lambda i, h, _: i.process.agents.delete(h, A1),
    "a deleted tenant": lambda i, h, _: i.delete_tenant(h),
}


class TestWhoMayNot:
    @pytest.mark.parametrize("forbid", FORBIDDEN.values(), ids=FORBIDDEN)
    async def test_nobody_of_these_is_let_in_by_any_way(
        self, installation: Installation, olivia: Human, key: KeyPair, a1: AgentPrincipal, forbid: Forbid
    ) -> None:
        process = installation.process
        await allow_chosen(installation, ACME)
        challenge, text = in_band(process), fetched(process).text()
        await forbid(installation, olivia, key)

        with refused(Code.unauthorized) as first:
            await process.login.answer(challenge, key.sign(challenge.text()))
        with refused(Code.unauthorized) as second:
            await answer_text(process, text, key)
        with refused(Code.unauthorized) as third:
            await answer_text(process, CHOSEN, key)

        assert first.message == second.message == third.message
        # Each cost what a wrong signature costs, with a key that nobody can sign for.
        assert process.verifier.tried == []
        assert process.verifier.verifications == 3 * LEAST_SPENT
        assert await process.login.keys(ACME, A1) in {None, frozenset()}

    async def test_who_has_proven_its_agent_is_told_that_the_tenant_is_suspended_and_nobody_else(
        self, installation: Installation, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        process = installation.process
        await allow_chosen(installation, ACME)
        challenge, text = in_band(process), fetched(process).text()
        await installation.suspend()

        for by, code in ((KeyPair(), Code.unauthorized), (key, Code.suspended)):
            with refused(code) as first:
                await process.login.answer(challenge, by.sign(challenge.text()))
            with refused(code):
                await answer_text(process, text, by)
            with refused(code):
                await answer_text(process, CHOSEN, by)
            assert first.message == code.value.when
        # What was captured tells nothing: it is spent.
        with refused(Code.unauthorized):
            await answer_text(process, CHOSEN, key)
        assert await process.login.keys(ACME, A1) is None

        await installation.operate(status=Status.active)
        assert await process.login.answer(challenge, key.sign(challenge.text())) == a1

    async def test_an_agent_or_tenant_that_never_was_costs_as_much(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        for tenant, agent in ((ACME, AgentId("nobody")), (TenantId("nowhere"), A1)):
            challenge = process.login.challenge(SERVER, tenant, agent, "c1")
            with refused(Code.unauthorized):
                await process.login.answer(challenge, key.sign(challenge.text()))
            text = fetched(process, tenant, agent).text()
            with refused(Code.unauthorized):
                await process.login.answer_text(tenant, agent, text, key.sign(text))

        assert process.verifier.tried == []
        assert process.verifier.verifications == 4 * LEAST_SPENT

    async def test_a_wrong_signature_costs_as_much(
        self, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        with refused(Code.unauthorized):
            await answer_text(process, fetched(process).text(), KeyPair())

        assert process.verifier.tried == [key.line]
        assert process.verifier.verifications == LEAST_SPENT

    async def test_every_refusal_is_in_the_same_words(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        used = fetched(process).text()
        await answer_text(process, used, key)
        other = fetched(process, OTHER).text()
        attempts = {
            "used before": (ACME, A1, used, key.sign(used)),
            "of another tenant": (ACME, A1, other, key.sign(other)),
            "unknown agent": (ACME, AgentId("nobody"), used, key.sign(used)),
            "unknown tenant": (TenantId("nowhere"), A1, used, key.sign(used)),
            "wrong key": (ACME, A1, fetched(process).text(), KeyPair().sign(used)),
            "no signature": (ACME, A1, fetched(process).text(), ""),
            "huge": (ACME, A1, fetched(process).text(), "A" * 100_000),
            "chosen": (ACME, A1, CHOSEN, key.sign(CHOSEN)),
            "empty": (ACME, A1, "", key.sign("")),
            "surrogate": (ACME, A1, "\ud800", "\ud800"),
        }

        words = set()
        for attempt in attempts.values():
            with refused(Code.unauthorized) as refusal:
                await process.login.answer_text(*attempt)
            words.add((refusal.message, f"{refusal.error}"))

        assert len(words) == 1


class TestSightings:
    async def test_a_login_is_noted_and_a_refusal_is_not(
        self, installation: Installation, olivia: Human, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        process = installation.process
        with refused(Code.unauthorized):
            await answer_text(process, fetched(process).text(), KeyPair())
        assert await process.agents.key_uses(olivia, A1) == {}

        await answer_text(process, fetched(process).text(), key)

        assert await process.agents.key_uses(olivia, A1) == {key.fingerprint: "2025-11-24T16:00:00.000Z"}

    async def test_the_keys_that_may_be_connected_are_told(
        self, process: Process, olivia: Human, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        second = KeyPair()
        await process.agents.add_key(olivia, A1, second.line)
        assert await process.login.keys(ACME, A1) == frozenset([key.fingerprint, second.fingerprint])

        await process.agents.revoke_key(olivia, A1, key.fingerprint)
        assert await process.login.keys(ACME, A1) == frozenset([second.fingerprint])


class TestNearCache:
    """Logins are decided from memory; a change is felt at once, or soon when the word of it was lost."""

    async def log_in(self, process: Process, key: KeyPair) -> AgentPrincipal | Code:
        return await outcome(answer_text(process, fetched(process).text(), key))

    async def test_a_revoked_key_is_refused_at_once_by_every_process(
        self, installation: Installation, olivia: Human, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        processes = [installation.process, installation.start("p2")]
        assert [await self.log_in(process, key) for process in processes] == [a1, a1]

        await processes[0].agents.revoke_key(olivia, A1, key.fingerprint)

        assert [await self.log_in(process, key) for process in processes] == [Code.unauthorized] * 2
        assert [await process.login.keys(ACME, A1) for process in processes] == [frozenset()] * 2

    async def test_without_the_word_it_is_refused_as_soon_as_the_cache_expires(
        self, installation: Installation, process: Process, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        assert await self.log_in(process, key) == a1
        unheard = AgentTable(Table(installation.memory))
        await unheard.change(ACME, A1, lambda agent: msgspec.structs.replace(agent, keys=[]), ENTRY)

        installation.clock.advance(TTL_SECONDS - 0.001)
        assert await self.log_in(process, key) == a1
        installation.clock.advance(0.001)
        assert await self.log_in(process, key) is Code.unauthorized

    async def test_who_was_refused_is_let_in_as_soon_as_it_is_there(
        self, installation: Installation, olivia: Human, process: Process, key: KeyPair
    ) -> None:
        assert await self.log_in(process, key) is Code.unauthorized

        await installation.make_agent(olivia, "a1", key)

        assert await self.log_in(process, key) == AgentPrincipal(ACME, A1, key.fingerprint)


class TestStoreAway:
    async def test_nobody_is_let_in_while_the_store_is_away(
        self, installation: Installation, key: KeyPair, a1: AgentPrincipal
    ) -> None:
        process = installation.process
        text = fetched(process).text()

        installation.store.away = True
        assert await outcome(answer_text(process, text, key)) is Code.unavailable
        installation.store.heal()

        assert await answer_text(process, text, key) == a1

    @pytest.mark.parametrize("lies", [False, True])
    async def test_an_answer_that_may_have_been_spent_lets_nobody_in_twice(
        self, installation: Installation, key: KeyPair, a1: AgentPrincipal, lies: bool
    ) -> None:
        process = installation.process
        text = fetched(process).text()
        installation.store.writes_left, installation.store.lies = 0, lies
        assert await outcome(answer_text(process, text, key)) is Code.unavailable
        installation.store.heal()

        second = await outcome(answer_text(process, text, key))

        assert second == (Code.unauthorized if lies else a1)
        assert await outcome(answer_text(process, text, key)) is Code.unauthorized
