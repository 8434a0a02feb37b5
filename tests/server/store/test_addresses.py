"""Every key: tenant first, no two things under one key, no prefix that reaches into another list."""

import itertools
import string

from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition

NAMES = ("acme", "acme-2", "acm", "ACME", "T", "U", "CH", "USE", "LOG", "META", "a")
TENANTS = [TenantId(text) for text in NAMES]
PARTITIONS = [Partition(text) for text in NAMES]
PARTITIONED = (at.tenant, at.challenges, at.usage, at.sizes, at.log)
USERS = [UserId(text) for text in ("acme", "a", "a#b", "#", "auth0|7", "é", "T#acme", "META")]
AGENTS = [AgentId(text) for text in ("a", "ab", "a-b", "META", "AGENT", "0")]
CHANNELS = [ChannelId(text) for text in ("a", "a.b", "META", "AGENT", "0")]
FINGERPRINTS = ["SHA256:a", "SHA256:a+/", "SHA256:"]

ALPHABET = string.ascii_letters + string.digits + "_-"
IDS = st.text(ALPHABET, min_size=1, max_size=12)
ALIKE = st.text("a-0", min_size=1, max_size=3)
"""Identifiers that often begin like each other."""
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)
FINGERPRINT = st.text(string.ascii_letters + string.digits + "+/:", min_size=1, max_size=12)


def keys_of_one_tenant() -> dict[str, str]:
    """Every sort key in a tenant's partition, and what it is the key of."""
    rows = {"meta": at.META, "owners": at.OWNERS}
    rows |= {f"member {user}": at.member(user) for user in USERS}
    rows |= {f"agent {agent}": at.agent(agent) for agent in AGENTS}
    rows |= {f"key {print_}": at.key(print_) for print_ in FINGERPRINTS}
    rows |= {f"channel {channel}": at.channel(channel) for channel in CHANNELS}
    rows |= {f"seen {agent}": at.seen(agent) for agent in AGENTS}
    rows |= {f"spoken {channel}": at.spoken(channel) for channel in CHANNELS}
    rows |= {f"count {prefix}": at.count(prefix) for prefix in (at.AGENTS, at.CHANNELS)}
    rows |= {f"use {agent} {p}": at.uses(agent) + p for agent in AGENTS for p in FINGERPRINTS}
    rows |= {f"online {process}": at.online(process) + "0" for process in ("embedded", "f00")}
    rows |= {f"invitation {name}": at.invitation(name) for name in ("a", "META")}
    rows |= {f"acceptance {name}": at.acceptance(name, "1") for name in ("terms", "privacy")}
    rows |= {f"answer {user}": at.answer(user, "f00d") for user in USERS}
    return rows


class TestPartitions:
    def test_no_two_things_share_a_partition(self) -> None:
        partitions = [at.TENANTS, *map(at.user, USERS)]
        for kind in PARTITIONED:
            partitions += [kind(partition) for partition in PARTITIONS]

        assert len(set(partitions)) == len(partitions)

    def test_a_partition_of_a_tenant_ends_in_exactly_its_name(self) -> None:
        for kind, partition in itertools.product(PARTITIONED, PARTITIONS):
            assert kind(partition).partition("#")[2] == partition

    @given(tenant=IDS, user=ANY_TEXT)
    def test_no_user_can_be_called_so_that_its_partition_is_a_tenants(self, tenant: str, user: str) -> None:
        of_tenant = {kind(Partition(tenant)) for kind in PARTITIONED}

        assert at.user(UserId(user)) not in {*of_tenant, at.TENANTS}


class TestKeysInATenant:
    def test_no_two_rooms_have_a_key_in_common(self) -> None:
        rows = keys_of_one_tenant()

        assert len(set(rows.values())) == len(rows)

    def test_the_list_of_one_room_holds_nothing_of_another(self) -> None:
        lists = {
            "member": at.MEMBERS,
            "agent": at.AGENTS,
            "channel": at.CHANNELS,
            "online": at.ONLINE,
            "invitation": at.INVITATIONS,
            "acceptance": at.ACCEPTANCES,
        }
        for room, prefix in lists.items():
            for name, sk in keys_of_one_tenant().items():
                assert sk.startswith(prefix) == (name.split()[0] == room), (name, prefix)

    def test_the_tenant_itself_is_in_no_list(self) -> None:
        assert not any(at.META.startswith(p) for p in (at.MEMBERS, at.AGENTS, at.CHANNELS, at.ONLINE))

    @given(agent=ALIKE, other=ALIKE, fingerprint=FINGERPRINT)
    def test_the_uses_of_an_agents_keys_are_not_in_another_agents_list(
        self, agent: str, other: str, fingerprint: str
    ) -> None:
        row = at.uses(AgentId(other)) + fingerprint

        assert row.startswith(at.uses(AgentId(agent))) == (agent == other)

    @given(agent=ALIKE, other=ALIKE, challenge=ANY_TEXT)
    def test_two_agents_never_share_an_answered_challenge(
        self, agent: str, other: str, challenge: str
    ) -> None:
        # `#` is in no id, so `a` with the challenge `b#c` is not `a#b` with the challenge `c`.
        row, others = f"{agent}#{challenge}", f"{other}#{challenge}"

        assert (row == others) == (agent == other)
        assert row.split("#", 1) == [agent, challenge]

    @given(process=ALIKE, other=ALIKE, number=st.integers(0, 30))
    def test_the_rows_of_one_process_are_not_in_anothers_list(
        self, process: str, other: str, number: int
    ) -> None:
        row = f"{at.online(other)}{number}"

        assert row.startswith(at.online(process)) == (process == other)
        assert at.process(row) == other


class TestAudit:
    @given(one=st.integers(0, 9_999_999_999_999), other=st.integers(0, 9_999_999_999_999), name=IDS)
    def test_what_is_newer_sorts_before(self, one: int, other: int, name: str) -> None:
        rows = sorted([at.log_entry(one, name), at.log_entry(other, name)])

        assert rows == [at.log_entry(max(one, other), name), at.log_entry(min(one, other), name)]

    def test_two_entries_of_one_moment_have_two_keys(self) -> None:
        assert at.log_entry(1, "a") != at.log_entry(1, "b")


class TestMemberships:
    def test_a_membership_names_its_tenant_whole(self) -> None:
        rows = [at.membership(tenant) for tenant in TENANTS]

        assert len(set(rows)) == len(TENANTS)
        assert all(row.removeprefix(at.MEMBERSHIPS) == of for row, of in zip(rows, TENANTS, strict=True))
