"""The text an agent signs to prove its key, and the client's checks before it signs."""

import re
from dataclasses import dataclass

NAMESPACE = "agent-auth.v1@artcafe"
"""The SSHSIG namespace: a signature made for git, files or an SSH login never fits."""

VERSION = "artcafe-agent-auth/1"
ANY_CONNECTION = "-"
"""The connection of a challenge fetched over REST: it may be answered on any connection, once."""

_TEXT = re.compile(
    rf"{re.escape(VERSION)}\n"
    r"server=(?P<server>[!-~]{1,255})\n"
    r"tenant=(?P<tenant>[A-Za-z0-9_-]{1,64})\n"
    r"agent=(?P<agent>[A-Za-z0-9_-]{1,64})\n"
    r"connection=(?P<connection>[A-Za-z0-9_-]{1,64})\n"
    r"nonce=(?P<nonce>[A-Za-z0-9_-]{43})\n"
    r"expires=(?P<expires>[1-9][0-9]{0,11})\n"
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The content that one login attempt must sign. `expires` is in whole seconds since the Unix epoch."""

    server: str
    tenant: str
    agent: str
    connection: str
    nonce: str
    expires: int

    def text(self) -> str:
        """The signed text: one line a value, each ending in a newline.

        Raises ValueError when a value holds a character that does not belong into it: a value
        that could write a line of its own never becomes part of a text to sign.
        """
        text = (
            f"{VERSION}\nserver={self.server}\ntenant={self.tenant}\nagent={self.agent}\n"
            f"connection={self.connection}\nnonce={self.nonce}\nexpires={self.expires}\n"
        )
        if _TEXT.fullmatch(text) is None:
            raise ValueError("a value of the challenge holds a character that is not allowed there")
        return text

    @classmethod
    def parse(cls, text: str) -> "Challenge | None":
        """Read a challenge text back; None when it is not exactly one."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        server, tenant, agent, connection, nonce, expires = match.groups()
        return cls(server, tenant, agent, connection, nonce, int(expires))


def is_ours(text: str) -> bool:
    """Tell whether a text claims to be one of our challenges, well formed or not."""
    return text.startswith(VERSION + "\n")


def check_before_signing(text: str, *, server: str, tenant: str, agent: str) -> Challenge:
    """Check a received challenge against what this client meant to join, and parse it.

    A client that signed whatever it is sent could be used to log in elsewhere (a relay): the
    first two lines name the protocol and the server. Raises ValueError with a sentence for people.
    """
    challenge = Challenge.parse(text)
    if challenge is None:
        raise ValueError("the challenge is not an ArtCafe agent login")
    if challenge.server != server:
        raise ValueError(f"the challenge names another server ({challenge.server}); nothing was signed")
    if (challenge.tenant, challenge.agent) != (tenant, agent):
        raise ValueError("the challenge names another tenant or agent; nothing was signed")
    return challenge
