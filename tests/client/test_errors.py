"""What a refusal of the server becomes."""

import pytest

from artcafe.client.errors import copy, of_close, of_frame, of_response
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Error


def test_an_error_frame_keeps_its_code_words_wait_and_details() -> None:
    error = of_frame(Error(code="rate_limited", message="Slow.", retry_after_ms=1500, details={"limit": 200}))
    assert (error.code, error.message, error.retry_after, error.details) == (
        Code.rate_limited,
        "Slow.",
        1.5,
        {"limit": 200},
    )


def test_a_code_of_tomorrow_is_a_refusal_all_the_same() -> None:
    error = of_frame(Error(code="too_quantum", message="Not today."))
    assert (error.code, error.message) == (Code.bad_request, "Not today.")


@pytest.mark.parametrize("code", [code for code in Code if code.value.close is not None])
def test_every_close_code_of_the_table_is_its_row(code: Code) -> None:
    assert of_close(code.close, "", None).code is code
    assert of_close(code.close, "", None).message == code.value.when
    assert of_close(code.close, "Because.", None).message == "Because."


@pytest.mark.parametrize(
    ("close", "code"),
    [
        (1005, Code.unavailable),
        (1006, Code.unavailable),
        (1001, Code.going_away),
        (4321, Code.going_away),
        (4777, Code.forbidden),
        (1008, Code.protocol_error),
        (3000, Code.protocol_error),
    ],
)
def test_other_close_codes_get_the_nearest_row(close: int, code: Code) -> None:
    assert of_close(close, "", None).code is code


def test_the_error_frame_before_a_close_speaks_for_it_when_it_is_about_it() -> None:
    flooding = ArtcafeError(Code.flooding, "Too fast.", retry_after=3)
    error = of_close(4005, "", flooding)
    assert (error.message, error.retry_after) == ("Too fast.", 3)
    assert of_close(4502, "", flooding).code is Code.key_revoked


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "message", "wait"),
    [
        (403, {}, b'{"code":"removed","detail":"Suspended."}', Code.removed, "Suspended.", None),
        (429, {"retry-after": "7"}, b'{"code":"rate_limited"}', Code.rate_limited, None, 7),
        (503, {"retry-after": "7"}, b'{"retry_after_ms":250}', Code.unavailable, None, 0.25),
        (401, {}, b"<html>", Code.unauthorized, None, None),
        (502, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", Code.unavailable, None, None),
        (418, {}, b"[]", Code.bad_request, None, None),
        (500, {}, b'{"code":7,"detail":{}}', Code.unavailable, None, None),
    ],
)
def test_an_http_answer_is_read_with_or_without_a_problem_document(
    status: int, headers: dict[str, str], body: bytes, code: Code, message: str | None, wait: float | None
) -> None:
    error = of_response(status, headers, body)
    assert error.code is code
    assert error.message == (message or f"The server answered {status}.")
    assert error.retry_after == wait


def test_a_copy_says_the_same_and_is_another() -> None:
    error = ArtcafeError(Code.flooding, "Too fast.", retry_after=3, details={"a": 1})
    again = copy(error)
    assert again is not error
    assert (again.code, again.message, again.retry_after, again.details) == (
        Code.flooding,
        "Too fast.",
        3,
        {"a": 1},
    )
