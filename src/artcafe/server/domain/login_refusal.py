"""The reasons of refused logins, for the operator's log; a client never sees them."""

from enum import StrEnum


class LoginRefusal(StrEnum):
    """The true reasons behind `unauthorized` (`ArtcafeError.reason`). They stand in log lines, so a name
    never changes its meaning. docs/log-events.md has the same table."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> "LoginRefusal":
        """A reason is its name; `meaning` is for people."""
        reason = str.__new__(cls, name)
        reason._value_ = name
        reason.meaning = meaning
        return reason

    bad_name = "bad_name", "The tenant or the agent is missing, or no identifier."
    no_credentials = (
        "no_credentials",
        "Neither a token, nor challenge and signature, nor a subprotocol with a login in band.",
    )
    bad_answer = "bad_answer", "The frame or parameter that should carry the credentials cannot be read."
    second_answer = "second_answer", "A challenge of a connection takes one answer."
    unknown_tenant = "unknown_tenant", "There is no such tenant."
    tenant_suspended = "tenant_suspended", "The tenant is not active."
    unknown_agent = "unknown_agent", "There is no such agent in the tenant."
    agent_disabled = "agent_disabled", "The agent is disabled."
    no_key = "no_key", "The agent has no key at all."
    unknown_key = "unknown_key", "The fingerprint that the client named is not among the agent's keys."
    key_revoked = "key_revoked", "The named key is revoked, or each key of the agent is."
    bad_signature = "bad_signature", "No active key of the agent made this signature over this text."
    challenge_expired = "challenge_expired", "The challenge was answered too late."
    challenge_foreign = (
        "challenge_foreign",
        "The challenge was not issued by this installation, or not for this agent and this use.",
    )
    challenge_chosen = (
        "challenge_chosen",
        "The tenant allows no challenges of the client's choice, or this one is not printable ASCII.",
    )
    challenge_replayed = "challenge_replayed", "The challenge was answered before."
    revoked_meanwhile = "revoked_meanwhile", "The right to connect was revoked between proof and admission."
    left_meanwhile = "left_meanwhile", "The client was gone before it was admitted."
    bad_token = (
        "bad_token",
        "A human's token is not valid here; what is wrong with it follows after a colon.",
    )
    bad_code = "bad_code", "A sign-in code is unknown, spent or too old."
    bad_secret = "bad_secret", "Not the secret of the embedded issuer."
