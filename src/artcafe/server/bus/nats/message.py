"""A NATS message with everything that its sender gave it."""

from typing import NamedTuple


class FullMessage(NamedTuple):
    """A message with the subject that a reply goes to and its headers."""

    reply: str
    """Empty where no reply is expected."""

    headers: bytes
    """The header block as it was sent; empty where there is none."""

    payload: bytes
