"""Every key under which something is stored; tenant first. What a tenant's partition is called: partitions.

| partition        | sort key            | what                                                  |
|------------------|---------------------|-------------------------------------------------------|
| TENANTS          | {tenant}            | that the id is taken, and the tenant's partition      |
| T#{partition}    | META                | the tenant                                            |
|                  | DELETING            | the same, once it is being deleted                    |
|                  | MEMBER#{user}       | a member                                              |
|                  | OWNERS              | changes whenever an owner goes                        |
|                  | INVITE#{id}         | an open invitation; expires                           |
|                  | LEGAL#{doc}#{v}     | who accepted a version of one of the operator's texts |
|                  | AGENT#{agent}       | an agent with its keys                                |
|                  | FP#{fingerprint}    | which agent has this key: a claim, unique             |
|                  | CHAN#{channel}      | a channel                                             |
|                  | DURABLE             | changes whenever a durable channel is made or changed |
|                  | USED#{agent}#{fp}   | when a key last logged in                             |
|                  | SEEN#{agent}        | when an agent was last seen going                     |
|                  | DETAIL#{sort key}   | what only describes the tenant, agent or channel      |
|                  | SPOKEN#{channel}    | when a channel had its last message                   |
|                  | COUNT#{noun}        | how many agents, channels or members there are,       |
|                  | COUNT#{noun}#{n}    | together with these counters                          |
|                  | COUNTED-BYTES       | what there was before its bytes were counted          |
|                  | ONLINE#{process}#n  | who is connected to a server process                  |
|                  | ANSWER#{user}#{key} | what an Idempotency-Key was answered with; expires    |
| U#{user}         | TENANT#{tenant}     | an index: where to look for a membership              |
|                  | MADE                | tenants that the user made, where those are counted   |
|                  | ANSWER#{user}#{key} | the same, for what is done in no tenant               |
| CH#{partition}   | {agent}#{digest}    | a challenge that was answered                         |
| USE#{partition}  | {day}#{metric}      | a counter; expires                                    |
|                  | ever#{kind}:{name}  | a counter of an agent or a channel, by incarnation    |
|                  | {day}#{metric}#{n}  | that n was counted among the active; expires          |
| SIZE#{partition} | ALL#{n}, RULES#{n}  | counters: bytes of all records, of channels' rules    |
| LOG#{partition}  | {9…9 - ms}#{id}     | an entry of the audit, the newest first; expires      |
| CLEANED          | USAGE               | how far counters of older releases were cleaned up    |
| INSTALLATION     | MARK                | which installation it is, and how often it was stamped|
|                  | TURN                | when accounts were reconciled by one of all processes |
| SERVERS          | {process}           | a server process that runs; expires, is never copied  |
| LEASES           | HOLDS#{process}     | a process whose rows of connected agents are right    |
|                  | OVER#{process}      | one whose lease was taken: its rows are to go         |
| HELD#{process}   | {partition}         | a tenant in which the process has agents              |
| SCHEMA           | RECORDS             | which releases may open the store                     |
| DELETIONS        | SWEEP#{partition}   | a tenant that is being deleted                        |
|                  | END#{partition}     | one whose id is free, with what came late             |
| INSTALLATION-LOG | {9…9 - ms}#{id}     | who made, deleted and operated tenants; expires       |
| MIGRATIONS       | MEMBERSHIPS         | how far the index of memberships was looked through   |
| SIGN-IN          | SPENT#{code}        | a code or challenge that was used; expires            |
|                  | PROOF#{digest}      | a sign-in code, and whom it stands for; expires       |
|                  | DEVICE#{user code}  | a device that waits to be signed in; expires          |
"""

from typing import NewType

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId

Partition = NewType("Partition", str)
"""The name of a tenant's partition."""

TENANTS = "TENANTS"
SIGN_IN = "SIGN-IN"
INSTALLATION = "INSTALLATION"
MARK = "MARK"
TURN = "TURN"
SERVERS = "SERVERS"
LEASES = "LEASES"
HOLDS = "HOLDS#"
OVER = "OVER#"
USAGE_CLEANED = ("CLEANED", "USAGE")
SCHEMA = ("SCHEMA", "RECORDS")
"""Both keys of the row that says which releases may open the store."""

DELETIONS = "DELETIONS"
INSTALLATION_LOG = "INSTALLATION-LOG"
META = "META"
DELETING = "DELETING"
STAGES = ("SWEEP#", "END#")
"""What the rows of DELETIONS begin with."""
AGENTS = "AGENT#"
CHANNELS = "CHAN#"
DURABLE = "DURABLE"
MEMBERS = "MEMBER#"
MEMBERSHIPS = "TENANT#"
MADE = "MADE"
OWNERS = "OWNERS"
INVITATIONS = "INVITE#"
ACCEPTANCES = "LEGAL#"
ONLINE = "ONLINE#"
ANSWERS = "ANSWER#"
DETAILS = "DETAIL#"
ALL_BYTES = "ALL"
RULE_BYTES = "RULES"
COUNTED_BYTES = "COUNTED-BYTES"


def tenant(of: Partition) -> str:
    """The partition of a tenant."""
    return f"T#{of}"


def to_sweep(of: Partition) -> str:
    """A tenant that is being deleted."""
    return STAGES[0] + of


def to_end(of: Partition) -> str:
    """A tenant that was deleted."""
    return STAGES[1] + of


def user(of: UserId) -> str:
    """The partition of a user."""
    return f"U#{of}"


def challenges(of: Partition) -> str:
    """The partition of a tenant's answered challenges."""
    return f"CH#{of}"


def usage(of: Partition) -> str:
    """The partition of a tenant's counters."""
    return f"USE#{of}"


def sizes(of: Partition) -> str:
    """The partition of the counters of a tenant's bytes."""
    return f"SIZE#{of}"


def member(of: UserId) -> str:
    """A member in its tenant."""
    return MEMBERS + of


def membership(of: TenantId) -> str:
    """A membership in its user's partition."""
    return MEMBERSHIPS + of


def invitation(of: str) -> str:
    """An open invitation."""
    return INVITATIONS + of


def acceptance(document: str, version: str) -> str:
    """The key of an acceptance of a document's version."""
    return f"{ACCEPTANCES}{document}#{version}"


def agent(of: AgentId) -> str:
    """An agent."""
    return AGENTS + of


def key(fingerprint: str) -> str:
    """The claim of a key."""
    return f"FP#{fingerprint}"


def channel(of: ChannelId) -> str:
    """A channel."""
    return CHANNELS + of


def detail(of: str) -> str:
    """The key of the details of the record with this sort key; with a prefix, the prefix of such rows."""
    return DETAILS + of


def spoken(of: ChannelId) -> str:
    """The key of the time of a channel's last message."""
    return f"SPOKEN#{of}"


def count(prefix: str) -> str:
    """How many records there are whose sort keys begin with the prefix."""
    return f"COUNT#{prefix}"


def log(of: Partition) -> str:
    """The partition of a tenant's audit."""
    return f"LOG#{of}"


def log_entry(milliseconds: int, entry: str) -> str:
    """An entry made that long after the epoch: what is newer sorts before."""
    return f"{9_999_999_999_999 - milliseconds:013d}#{entry}"


def answer(of: UserId, digest: str) -> str:
    """The key of the response to a user's Idempotency-Key."""
    return f"{ANSWERS}{of}#{digest}"


def is_answer(sort_key: str) -> bool:
    """Whether it is such an answer's."""
    return sort_key.startswith(ANSWERS)


def uses(of: AgentId) -> str:
    """The prefix of the last uses of an agent's keys."""
    return f"USED#{of}#"


def use(of: AgentId, fingerprint: str) -> str:
    """The key of the time of a key's last use by its agent."""
    return uses(of) + fingerprint


def seen(of: AgentId) -> str:
    """The key of the time at which an agent was last seen."""
    return f"SEEN#{of}"


def online(instance: str) -> str:
    """The prefix of the rows of one server process."""
    return f"{ONLINE}{instance}#"


def held(process: str) -> str:
    """The partition of the tenants in which a server process has agents."""
    return f"HELD#{process}"


def process(sort_key: str) -> str:
    """The server process whose row this is."""
    return sort_key.removeprefix(ONLINE).rpartition("#")[0]


def spent(code: str) -> str:
    """A code that was used."""
    return f"SPENT#{code}"


def proof(digest: str) -> str:
    """A sign-in code."""
    return f"PROOF#{digest}"


def device(user_code: str) -> str:
    """A device that waits."""
    return f"DEVICE#{user_code}"
