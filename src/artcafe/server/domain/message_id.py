"""The ids of messages: they tell which process published a message, and in which order it did so."""

import re

_NUMBERED = re.compile(r"([0-9a-f]{16})-([0-9a-f]{1,15})")


def numbered_id(process: str, number: int) -> str:
    """The id of a process' message of this number. `process` is 16 hexadecimal digits."""
    return f"{process}-{number:x}"


def number_of(message_id: str) -> tuple[str, int] | None:
    """The process that published a message, and its number there: a later message has a higher one, on every
    link of the bus. None for an id that this platform did not give."""
    found = _NUMBERED.fullmatch(message_id)
    return None if found is None else (found[1], int(found[2], 16))
