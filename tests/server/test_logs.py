"""Lines of the log, for people and for programs."""

import json
import logging
from collections.abc import Iterator

import pytest

from artcafe.server.logs import log_to_stderr
from artcafe.server.settings import load


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Put the root logger back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("logging_as_before")
def test_log_lines_for_programs_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(load(log_format="json"))
    logger = logging.getLogger("artcafe.test")
    logger.info("two\nlines %d", 7)
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("fault")
    said, fault = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (said["level"], said["message"], said["logger"]) == ("info", "two\nlines 7", "artcafe.test")
    assert "ValueError: why" in fault["exception"]
