"""Names the fields that are not known, each with the nearest known one, so that a typo changes nothing."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

_MAX_TOLD = 3
_MAX_LENGTH = 40


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, or None. Long names are like none: to compare costs
    their length squared."""
    if len(name) > _MAX_LENGTH:
        return None
    spelt = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), spelt, n=1)
    return spelt[found[0]] if found else None


def unknown_fields(names: Iterable[str], known: Collection[str]) -> str | None:
    """A sentence about the names that are not known, each with the nearest known one; None without any.

    At most three are told, in ASCII, cut after 40 characters: they may be long, many and of any alphabet.
    """
    strangers = [name for name in names if name not in known]
    if not strangers:
        return None
    told = [_told(name, known) for name in strangers[:_MAX_TOLD]]
    more = len(strangers) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "") + "."


def _told(name: str, known: Collection[str]) -> str:
    shown = name[:_MAX_LENGTH].encode("ascii", "replace").decode()
    near = nearest(name, known)
    return f"there is no field {shown!r}" + ("" if near is None else f", {near!r} is the nearest")
