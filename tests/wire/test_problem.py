"""One document and its headers for every error over HTTP."""

import pytest

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.problem import document, headers


def test_the_document_says_what_the_table_says() -> None:
    assert document(ArtcafeError(Code.not_found, "No such agent."), 404) == {
        "type": "about:blank",
        "title": "not found",
        "status": 404,
        "code": "not_found",
        "detail": "No such agent.",
    }


@pytest.mark.parametrize(
    ("error", "status", "named"),
    [
        (ArtcafeError(Code.not_found), 404, {}),
        (ArtcafeError(Code.unauthorized), 401, {"www-authenticate": "Bearer"}),
        (ArtcafeError(Code.unavailable), 503, {"retry-after": "1"}),
        (ArtcafeError(Code.rate_limited, retry_after=0.2), 429, {"retry-after": "1"}),
        (ArtcafeError(Code.unavailable, retry_after=7.5), 503, {"retry-after": "8"}),
    ],
)
def test_the_headers_say_when_to_come_back_and_what_to_bring(
    error: ArtcafeError, status: int, named: dict[str, str]
) -> None:
    assert headers(error, status) == named


def test_the_wait_is_never_rounded_down() -> None:
    assert document(ArtcafeError(Code.rate_limited, retry_after=0.0101), 429)["retry_after_ms"] == 11


def test_the_request_is_named_where_it_has_a_name() -> None:
    assert document(ArtcafeError(Code.not_found), 404, "call-7")["request_id"] == "call-7"
    assert "request_id" not in document(ArtcafeError(Code.not_found), 404)
