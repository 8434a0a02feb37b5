"""Log formatting: lines for people or for programs, on standard error.

What clients send may end up in a line, so it is escaped and cut here: one record is one line, but for
tracebacks in the format for people, whose lines are indented. Lines that clients cause are folded
(folding.py).
"""

import asyncio
import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

from artcafe.server.events import Event, StartFailed
from artcafe.server.folding import Folded, Folding
from artcafe.server.process import SystemClock
from artcafe.server.settings import Settings
from artcafe.wire.times import rfc3339

LOG = logging.getLogger("artcafe")

MAX_FIELD = 256
"""Characters of a field of an event."""

MAX_MESSAGE = 2_000
"""Characters of a message."""

MAX_TRACEBACK = 16_000
"""Characters of a traceback for people; of a longer one the middle is left out."""

MAX_JSON_LINE = 4_096
"""Bytes of a line of JSON, its newline included: several workers write to one pipe, and a write of so many is
never mixed with another (PIPE_BUF, pipe(7)). The longest of its texts are shortened until it fits."""

KEYS_OF_PROVEN, KEYS_OF_STRANGERS, KEYS_OF_OTHERS = 1024, 512, 512
"""How many kinds of lines are told apart while they are folded."""

_BARE = re.compile(r"[A-Za-z0-9_.:/@+*{}-]+")
"""A value that stands in a line for people without quotes."""


class _Plain(NamedTuple):
    """A record that is no event, as it is remembered while it is folded."""

    name: str
    level: int
    message: str


class Lines(logging.Handler):
    """Writes records, one line each, and folds those that are alike.

    Events of clients that proved who they are, events of strangers, and all other lines have a budget each,
    so that none keeps out another. DEBUG, which is for looking closely, is not folded.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        formatter: logging.Formatter,
        monotonic: Callable[[], float],
        per_second: float,
    ) -> None:
        """`write` takes a line with its newline. `per_second` is how many lines proven clients may cause,
        over some time; strangers, and all other lines, have half of it each."""
        super().__init__()
        self.setFormatter(formatter)
        self._write = write
        self._monotonic = monotonic
        self._proven = Folding[Event | _Plain](keys=KEYS_OF_PROVEN, per_second=per_second)
        self._strangers = Folding[Event | _Plain](keys=KEYS_OF_STRANGERS, per_second=per_second / 2)
        self._others = Folding[Event | _Plain](keys=KEYS_OF_OTHERS, per_second=per_second / 2)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it. logging calls this under the handler's lock."""
        try:
            now = self._monotonic()
            self._write_counts(now)
            if self._admit(record, now):
                self._write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - the edge: whatever it is, it is said in another line
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say in a line of the same format which record could not be written. A stream that takes none is
        left alone: there is nowhere to say so."""
        fault = sys.exc_info()[1]
        if isinstance(fault, OSError):
            return
        said = f"a record of {record.name} cannot be written: {type(fault).__name__}"
        self._write(self.format(logging.LogRecord("artcafe", logging.ERROR, "", 0, said, (), None)) + "\n")

    def write_counts(self) -> None:
        """Write how many lines were folded, of all windows that ended."""
        with self.lock or threading.RLock():
            self._write_counts(self._monotonic())

    async def keep_writing_counts(self) -> None:
        """Do that once a second, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            self.write_counts()

    def close(self) -> None:
        """Write all counts: logging calls this when the process ends."""
        with suppress(OSError):  # Nobody reads the stream any more.
            self._write_counts(float("inf"))
        super().close()

    def _admit(self, record: logging.LogRecord, now: float) -> bool:
        if record.levelno < logging.INFO:
            return True
        event: Event | None = getattr(record, "event", None)
        if event is None:
            plain = _Plain(record.name, record.levelno, f"{record.msg}"[:MAX_FIELD])
            return self._others.admit(plain, record.name, plain, now)
        if event.alike is None:
            return True
        folding = self._proven if event.proven else self._strangers
        return folding.admit(event.fold_key(), type(event), event, now)

    def _write_counts(self, now: float) -> None:
        for folding in (self._proven, self._strangers, self._others):
            for folded in folding.due(now):
                self._write(self.format(_summary(folded)) + "\n")


def _summary(folded: Folded[Event | _Plain]) -> logging.LogRecord:
    """The line with the number of those that were not written."""
    sample = folded.sample
    if isinstance(sample, Event):
        record = logging.LogRecord("artcafe.events", sample.severity, "", 0, sample.name, (), None)
        common = {} if folded.others else sample.common()
        fields = {**common, "repeated": folded.count}
    else:
        message = "others" if folded.others else sample.message
        record = logging.LogRecord(sample.name, sample.level, "", 0, message, (), None)
        fields = {"repeated": folded.count}
    record.__dict__["fields"] = {**fields, "others": True} if folded.others else fields
    return record


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """The fields of a record, each cut to its length."""
    event: Event | None = getattr(record, "event", None)
    fields: dict[str, object] = event.fields() if event is not None else getattr(record, "fields", {})
    return {
        name: _cut(value, MAX_FIELD) if isinstance(value, str) else value for name, value in fields.items()
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _without_middle(text: str, most: int) -> str:
    """The end of a traceback says most, its beginning where it came from."""
    if len(text) <= most:
        return text
    head = most // 4
    return f"{text[:head]}\n[…]\n{text[len(text) - (most - head) :]}"


def _escaped(text: str) -> str:
    """Text that cannot leave its line, or speak to a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    return json.dumps(letter)[1:-1] if letter != "\x7f" else r"\u007f"


class TextLines(logging.Formatter):
    """Lines for people: the time, the level, the logger, the message, and fields as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """One line, whatever stands in the message."""
        record.message = _escaped(_cut(record.message, MAX_MESSAGE))
        fields = [f"{name}={_value(value)}" for name, value in _fields(record).items()]
        return " ".join([super().formatMessage(record), *fields])

    def formatException(  # noqa: N802 - the name is logging's
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """The traceback, indented: none of its lines looks like one of the log."""
        lines = _without_middle(super().formatException(ei), MAX_TRACEBACK).splitlines()
        return "\n".join(f"    {_escaped(line)}" for line in lines)


def _value(value: object) -> str:
    text = f"{value}" if not isinstance(value, float) else f"{value:.3f}"
    return text if _BARE.fullmatch(text) else json.dumps(text).replace("\x7f", r"\u007f")


class JsonLines(logging.Formatter):
    """One JSON object a line, for programs; ASCII, so that nothing in it speaks to a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        event: Event | None = getattr(record, "event", None)
        line: dict[str, object] = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage(), MAX_MESSAGE),
        }
        if event is not None or record.name == "artcafe.events":
            line["event"] = line["message"]
        line |= _fields(record)
        if record.exc_info:
            line["exception"] = _without_middle(self.formatException(record.exc_info), MAX_JSON_LINE)
        text = _json(line)
        while len(text) >= MAX_JSON_LINE:
            longest = max(line, key=lambda name: len(f"{line[name]}"))
            line[longest] = _without_middle(f"{line[longest]}", len(f"{line[longest]}") // 2)
            text = _json(line)
        return text


def _json(line: dict[str, object]) -> str:
    return json.dumps(line).replace("\x7f", r"\u007f")


def log_to_stderr(settings: Settings) -> Lines:
    """Send every log record to standard error, in the format and from the level that are set.

    In JSON, what Python itself would print there is logged as well: exceptions that nobody caught.
    """
    json_lines = settings.log_format == "json"
    lines = Lines(
        _to_stderr, JsonLines() if json_lines else TextLines(), SystemClock().monotonic, settings.log_rate
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    # Third parties speak up when something is wrong. What they say at DEBUG may quote what they carry.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[lines], force=True)
    LOG.setLevel(level)
    logging.captureWarnings(True)
    if json_lines:
        sys.excepthook = _uncaught
        sys.unraisablehook = _unraisable
        threading.excepthook = _uncaught_in_thread
    return lines


def log_start_failed(reason: str) -> None:
    """Write a line of JSON that the process ends before it was up; also where the settings, and so the level
    of the log, cannot be read."""
    event = StartFailed(reason=reason)
    record = LOG.makeRecord(
        "artcafe.events", event.level, "", 0, event.name, (), None, extra={"event": event}
    )
    _to_stderr(JsonLines().format(record) + "\n")


def _to_stderr(line: str) -> None:
    stream = sys.stderr
    if stream is not None and not stream.closed:  # A process may be started without one.
        stream.write(line)


def _uncaught(kind: type[BaseException], fault: BaseException, at: TracebackType | None) -> None:
    LOG.critical("an exception that nobody caught", exc_info=(kind, fault, at))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        LOG.error("a thread ended", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    fault = args.exc_value
    if fault is not None:
        LOG.error("an exception that nobody can catch", exc_info=(type(fault), fault, args.exc_traceback))
