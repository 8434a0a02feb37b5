"""Lines of the log, for people and for programs: one record, one line, whatever stands in it."""

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from artcafe.server.events import ConnectionRefused, LoginRefused, SlowConsumer, Started, note
from artcafe.server.folding import FIRST, WINDOW_SECONDS
from artcafe.server.logs import (
    KEYS_OF_STRANGERS,
    MAX_FIELD,
    MAX_JSON_LINE,
    MAX_MESSAGE,
    MAX_TRACEBACK,
    JsonLines,
    Lines,
    TextLines,
    log_start_failed,
    log_to_stderr,
)
from artcafe.server.settings import load
from tests.kit.deadlines import PATIENCE

HOSTILE = "a\r\n2026-01-01 00:00:00,000 INFO    artcafe: forged\x1b[2J\x9b31m\x00\x7f\u202e\u2028\ud800é"
"""A forged line, sequences of terminals (ECMA-48), a NUL, a text that runs backwards, half a character."""


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Put the loggers and the interpreter's hooks back."""
    root, ours = logging.getLogger(), logging.getLogger("artcafe")
    handlers, level, level_of_ours = root.handlers[:], root.level, ours.level
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    root.handlers, root.level = handlers, level
    ours.setLevel(level_of_ours)
    logging.captureWarnings(False)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks


class Log:
    """A logger of its own, what it wrote, and a clock."""

    def __init__(self, formatter: logging.Formatter, per_second: float = 1000.0) -> None:
        self.text = io.StringIO()
        self.now = 0.0
        self.lines = Lines(self.text.write, formatter, lambda: self.now, per_second)
        self.events = logging.getLogger("artcafe.events")

    def __enter__(self) -> "Log":
        self.before = self.events.level
        self.events.addHandler(self.lines)
        self.events.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *error: object) -> None:
        self.events.removeHandler(self.lines)
        self.events.setLevel(self.before)

    def read(self) -> list[str]:
        return self.text.getvalue().splitlines()

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]


def refused(**fields: Any) -> LoginRefused:
    return LoginRefused(**{"way": "url", "code": "unauthorized", "address": "192.0.2.1", **fields})


def emit(log: Log, message: object, *args: object, level: int = logging.WARNING, fault: Any = None) -> None:
    log.lines.handle(logging.LogRecord("artcafe.test", level, "", 0, message, args, fault))


def raised(message: str) -> Any:
    try:
        raise ValueError(message)
    except ValueError:
        return sys.exc_info()


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


def test_the_fields_of_an_event_stand_beside_its_name() -> None:
    with Log(JsonLines()) as programs, Log(TextLines()) as people:
        note(refused(tenant="acme", reason="bad_token: DecodeError"))

    [line] = programs.objects()
    assert line["event"] == line["message"] == "login_refused"
    assert (line["tenant"], line["reason"], line["level"]) == ("acme", "bad_token: DecodeError", "warning")
    assert "agent" not in line
    [text] = people.read()
    assert text.endswith(
        'WARNING artcafe.events: login_refused way=url code=unauthorized reason="bad_token: DecodeError" '
        "tenant=acme address=192.0.2.1"
    )


@pytest.mark.parametrize("make", [TextLines, JsonLines])
def test_hostile_text_neither_leaves_its_line_nor_speaks_to_a_terminal(make: type[logging.Formatter]) -> None:
    with Log(make()) as log:
        note(refused(reason=HOSTILE))
        emit(log, HOSTILE)
        emit(log, "%s", HOSTILE)

    written = log.text.getvalue()
    assert len(written.splitlines()) == 3
    assert all(letter == "\n" or letter.isprintable() for letter in written)
    if make is JsonLines:
        assert [line.get("reason") or line["message"] for line in log.objects()] == [HOSTILE] * 3


def test_a_traceback_for_people_is_indented_so_none_of_its_lines_can_be_forged() -> None:
    log = Log(TextLines())
    emit(log, "fault", fault=raised(f"x\n{HOSTILE}"))

    first, *others = log.read()
    assert first.endswith("WARNING artcafe.test: fault")
    assert all(line.startswith("    ") for line in others)
    assert any("forged" in line for line in others)
    assert all(letter == "\n" or letter.isprintable() for letter in log.text.getvalue())


def test_fields_messages_and_tracebacks_are_cut() -> None:
    with Log(TextLines()) as log:
        note(refused(reason="r" * 5_000))
        emit(log, "%s", "m" * 100_000)
        emit(log, "fault", fault=raised("t" * 100_000))

    event, message, _, *trace = log.read()
    assert event.count("r" * MAX_FIELD) == 1
    assert len(event) < MAX_FIELD + 200
    assert len(message) < MAX_MESSAGE + 100
    assert sum(map(len, trace)) < MAX_TRACEBACK + 1_000
    assert "[…]" in "".join(trace)


@pytest.mark.parametrize("text", ["x", "\n", "é", "\U0001f600", '"', "\x7f"])
def test_a_line_of_json_is_one_write_that_a_pipe_keeps_whole(text: str) -> None:
    """Several workers write to one pipe; a longer write may be mixed with another one (pipe(7))."""
    with Log(JsonLines()) as log:
        note(refused(reason=text * 5_000, tenant=text * 5_000, agent=text * 5_000))
        emit(log, "%s", text * 100_000, fault=raised(text * 100_000))

    lines = log.text.getvalue().splitlines(keepends=True)
    assert len(lines) == 2
    assert all(len(line.encode()) <= MAX_JSON_LINE and json.loads(line) for line in lines)


@pytest.mark.parametrize("make", [TextLines, JsonLines])
def test_a_record_that_cannot_be_formatted_is_a_line_of_the_same_format(
    make: type[logging.Formatter], capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(make())
    emit(log, "%d of %d", "one")

    [line] = log.read()
    assert "a record of artcafe.test cannot be written: TypeError" in line
    assert capsys.readouterr().err == ""


def test_alike_events_are_folded_into_one_line_with_their_exact_number() -> None:
    with Log(JsonLines()) as log:
        for n in range(1_000):
            note(refused(tenant="acme", reason="bad_signature", connection=f"c{n}"))
        log.now = WINDOW_SECONDS
        log.lines.write_counts()

    *first, last = log.objects()
    assert len(first) == FIRST
    told = ("event", "way", "code", "reason", "tenant", "address", "repeated")
    assert {name: last[name] for name in told} == {
        "event": "login_refused",
        "way": "url",
        "code": "unauthorized",
        "reason": "bad_signature",
        "tenant": "acme",
        "address": "192.0.2.1",
        "repeated": 1_000 - FIRST,
    }
    assert last["level"] == "warning"
    assert "connection" not in last


def test_who_varies_everything_fills_neither_memory_nor_disk() -> None:
    with Log(JsonLines(), per_second=20.0) as log:
        for n in range(20_000):
            note(refused(tenant=f"t{n}", reason=f"r{n}"))
            note(ConnectionRefused(reason="too_many", address=f"2001:db8:{n:x}::1"))
        assert len(log.lines._strangers) <= KEYS_OF_STRANGERS + 2
        log.lines.close()

    lines = log.objects()
    # Half of the rate, twenty seconds of it, and a count for each key and each event.
    assert len(lines) <= 200 + KEYS_OF_STRANGERS + 2
    written = sum("repeated" not in line for line in lines)
    assert written + sum(line.get("repeated", 0) for line in lines) == 40_000
    assert {line["event"] for line in lines if line.get("others")} == {"login_refused", "connection_refused"}


def test_strangers_keep_out_neither_proven_clients_nor_faults() -> None:
    with Log(JsonLines(), per_second=1.0) as log:
        for n in range(1_000):
            note(refused(tenant=f"t{n}"))
        note(SlowConsumer(queued=1, tenant="acme", agent="a1", address="192.0.2.1", connection="c1"))
        emit(log, "fault")

    assert [line["message"] for line in log.objects()][-2:] == ["slow_consumer", "fault"]


def test_other_lines_are_folded_too_by_what_is_said_and_not_about_whom() -> None:
    log = Log(JsonLines())
    for n in range(100):
        emit(log, "a client %s does odd things", n, fault=raised("why") if n % 2 else None)
    log.lines.close()

    *first, last = log.objects()
    assert len(first) == FIRST
    assert (last["message"], last["repeated"]) == ("a client %s does odd things", 100 - FIRST)


def test_what_tells_of_the_process_and_what_is_for_looking_closely_is_not_folded() -> None:
    with Log(JsonLines()) as log:
        for _ in range(100):
            note(Started(url="u", data_dir="d", nats_url="n", version="1"))
            emit(log, "closely", level=logging.DEBUG)

    assert len(log.objects()) == 200


async def test_counts_are_written_when_their_window_is_over_though_nothing_else_is() -> None:
    with Log(JsonLines()) as log:
        for _ in range(FIRST + 5):
            note(refused())
        log.now = WINDOW_SECONDS
        writing = asyncio.create_task(log.lines.keep_writing_counts())
        async with asyncio.timeout(PATIENCE):
            while len(log.read()) == FIRST:
                await asyncio.sleep(0.05)
        writing.cancel()

    assert log.objects()[-1]["repeated"] == 5


@pytest.mark.usefixtures("logging_as_before")
def test_third_parties_speak_up_only_when_something_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """What they say at DEBUG quotes what they carry: forms, headers, requests to a cloud."""
    log_to_stderr(load(log_level="debug"))
    for name in ("httpx", "python_multipart.multipart", "botocore.endpoint", "uvicorn.error", "asyncio"):
        logging.getLogger(name).info("quiet")
        logging.getLogger(name).warning("loud")
    logging.getLogger("artcafe.test").debug("ours")

    said = capsys.readouterr().err
    assert "quiet" not in said
    assert said.count("loud") == 5
    assert said.count("ours") == 1


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_python_would_print_is_json_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(load(log_format="json"))

    class Unraisable:
        def __del__(self) -> None:
            raise ValueError("nobody can catch this")

    Unraisable()
    gc.collect()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    sys.excepthook(*raised("nobody caught this"))
    log_start_failed("No port.")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = " ".join(f"{value}" for line in lines for value in line.values())
    assert len(lines) == 5
    for part in (
        "nobody can catch this",
        "ZeroDivisionError",
        "DeprecationWarning: old",
        "nobody caught this",
    ):
        assert part in said
    assert (lines[-1]["event"], lines[-1]["reason"]) == ("start_failed", "No port.")


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_process_without_standard_error_goes_on(
    monkeypatch: pytest.MonkeyPatch, stream: str | None
) -> None:
    closed = io.StringIO()
    closed.close()
    lines = log_to_stderr(load())
    monkeypatch.setattr(sys, "stderr", None if stream is None else closed)

    logging.getLogger("artcafe.test").error("into nothing")
    lines.close()
