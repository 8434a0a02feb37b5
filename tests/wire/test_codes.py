"""The error table: numbers and names are for ever, and the close code says whether to come back."""

from collections import Counter

import pytest

from artcafe.wire.codes import GOING_AWAY, NORMAL_CLOSURE, Code, may_reconnect

# What has been published: name -> (number, http, close). A line is added here and never changed.
PUBLISHED = {
    "inbox_full": (326, 409, None),
    "login_timeout": (100, 408, 4001),
    "slow_consumer": (101, None, 4002),
    "heartbeat_lost": (102, None, 4003),
    "token_expired": (103, 401, 4004),
    "flooding": (104, 429, 4005),
    "too_many_connections": (105, 429, 4006),
    "unavailable": (106, 503, 1013),
    "going_away": (107, 503, 1012),
    "unauthorized": (200, 401, 4500),
    "forbidden": (201, 403, 4501),
    "key_revoked": (202, None, 4502),
    "removed": (203, None, 4503),
    "bad_frame": (204, 400, 1003),
    "protocol_error": (205, 400, 1002),
    "not_utf8": (206, 400, 1007),
    "too_large": (207, 413, 1009),
    "suspended": (208, 403, 4504),
    "bad_request": (300, 400, None),
    "invalid_subject": (301, 400, None),
    "not_found": (302, 404, None),
    "method_not_allowed": (303, 405, None),
    "conflict": (304, 409, None),
    "precondition_failed": (305, 412, None),
    "unsupported_media_type": (306, 415, None),
    "validation_failed": (307, 422, None),
    "idempotency_mismatch": (308, 422, None),
    "rate_limited": (309, 429, None),
    "quota_exceeded": (310, 402, None),
    "too_many_subscriptions": (311, 429, None),
    "internal": (312, 500, 1011),
    "no_websockets": (313, 501, None),
    "login_throttled": (324, None, 4024),
    "unreadable_record": (325, 503, 4025),
    "outcome_unknown": (314, 504, None),
    "too_many_channels": (323, 409, None),
    "not_durable": (328, 409, None),
    "channel_full": (322, 409, None),
    "headers_too_large": (315, 431, None),
    "request_timeout": (316, 408, None),
    "no_responders": (318, 503, None),
    "timeout": (319, 504, None),
    "cancelled": (320, 409, None),
    "request_refused": (321, 422, None),
    "deleting": (317, 409, 4505),
}

COME_BACK = {1001, 1012, 1013, *range(4000, 4500)}
STOP = {1002, 1003, 1007, 1009, *range(4500, 5000)}

EVERY_CODE = pytest.mark.parametrize("code", Code, ids=lambda code: code.name)


def test_the_table_is_what_was_published() -> None:
    table = {code.name: (code.value.number, code.value.http, code.value.close) for code in Code}
    assert table == PUBLISHED


def test_no_name_is_another_name_for_the_same_row() -> None:
    """Two equal rows of an Enum would silently become one member with an alias."""
    assert len(Code.__members__) == len(list(Code))


@pytest.mark.parametrize("column", ["number", "close"])
def test_numbers_and_close_codes_are_unique(column: str) -> None:
    counts = Counter(getattr(code.value, column) for code in Code)
    del counts[None]
    assert set(counts.values()) == {1}


@EVERY_CODE
def test_retry_agrees_with_the_close_code(code: Code) -> None:
    if code.value.close is not None:
        assert code.retry == may_reconnect(code.value.close)


@EVERY_CODE
def test_a_row_is_usable_where_it_may_appear(code: Code) -> None:
    row = code.value
    assert row.http is None or 400 <= row.http <= 599
    assert row.close is None or row.close in {*range(1000, 1016), *range(4000, 5000)}
    assert row.when.endswith(".")
    assert code.http == (row.http or 500)
    assert code.close == (row.close or 1011)


def test_the_ranges_say_whether_to_come_back() -> None:
    assert all(may_reconnect(close) for close in COME_BACK)
    assert not any(may_reconnect(close) for close in STOP)


def test_a_connection_that_ended_without_a_word_comes_back() -> None:
    """1005 and 1006 are never on the wire: no code, and no close frame at all (RFC 6455 section 7.4.1)."""
    assert may_reconnect(1005)
    assert may_reconnect(1006)
    assert may_reconnect(1011)
    assert may_reconnect(GOING_AWAY)
    assert not may_reconnect(NORMAL_CLOSURE)


@pytest.mark.parametrize("close", [-1, 0, 999, 1004, 1014, 1015, 3000, 3999, 5000])
def test_an_unknown_code_means_stop(close: int) -> None:
    assert not may_reconnect(close)
