"""X-Unreadable: the ids of records that a list leaves out because they cannot be read."""

from typing import Any, Final
from urllib.parse import quote

from fastapi import Response

from artcafe.server.domain.listing import Page

HEADER: Final = "x-unreadable"

MOST_NAMED: Final = 10
"""Ids in the header: it has to fit into the heads that proxies take."""


def tell_unreadable(response: Response, page: Page[Any]) -> None:
    """Name in the answer what the page goes without: ids, percent-encoded, and `+N` for N more of them."""
    if page.unreadable:
        named = [quote(which, safe="@.:~") for which in page.unreadable[:MOST_NAMED]]
        more = len(page.unreadable) - len(named)
        response.headers[HEADER] = ", ".join([*named, *([f"+{more}"] if more else [])])
