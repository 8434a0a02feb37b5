"""The exception that carries a row of the table."""

import pytest

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_every_code_brings_its_own_sentence(code: Code) -> None:
    error = ArtcafeError(code)
    assert error.code is code
    assert error.message == code.value.when
    assert str(error) == f"{code.name}: {code.value.when}"
    assert error.retry_after is None
    assert error.details is None


def test_a_better_sentence_takes_its_place() -> None:
    error = ArtcafeError(Code.rate_limited, "Slower.", retry_after=0.25, details={"limit": 200})
    assert (error.message, error.retry_after, error.details) == ("Slower.", 0.25, {"limit": 200})
    assert str(error) == "rate_limited: Slower."
    assert error.args == ("Slower.",)
