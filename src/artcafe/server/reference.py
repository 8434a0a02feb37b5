"""Generates pages of the documentation from the code: errors, settings, log events and metrics.

`python -m artcafe.server.reference docs` writes them, with `--check` it only says whether they are
as they should be. The same code gives the same bytes on every machine.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from artcafe.server.api.tenant_metrics import LIMIT_METRIC, TENANT_METRICS
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.events import Event, Request
from artcafe.server.settings import Settings, variables
from artcafe.server.telemetry.names import METRICS
from artcafe.wire.codes import Code, may_reconnect

NONE = "-"

LOST = (1005, 1006)
"""What a client's library says when nobody closed; never sent (RFC 6455 section 7.4.1)."""

CLOSE_CODES = [code for code in range(1000, 5000) if code not in LOST]

_NOTE = "<!-- Made from {source} by `make docs`; edit that instead. -->"

_ERRORS = """\
# Errors

{note}

Every error has a name and a number, the same over REST and WebSockets, and neither ever changes its
meaning. A program reads the name; the sentence beside it is for people and may change.

* Over REST an error is an `application/problem+json` document (RFC 9457) whose `code` is the name. `detail`
  is the sentence. Where waiting helps, `Retry-After` (seconds) and `retry_after_ms` say how long.
* On a WebSocket it is a frame `{{"type": "error", "code": …, "message": …}}`, with the `id` of the frame it
  answers. An error that ends the connection closes it with the close code of the table. A refused
  handshake is an HTTP answer with the status of the table.

"Retry" says whether the same thing may succeed later, unchanged. For connections the close code says
it too. After {come_back}, or when the connection is just lost, come back:
after the hint, or with a growing and random delay. After any other code stop: coming back unchanged
cannot help.
"""

_GROUPS = {
    1: "Connections that may come back",
    2: "Connections that must not come back unchanged",
    3: "One request or frame; the connection stays",
}

_SETTINGS = """\
# Settings

{note}

The server reads its settings from the environment, once, when it starts, and checks all of them before
it opens anything. A variable that is set to nothing is not set. Older names are read where the first
name is not set. Options of `artcafe up` and `artcafe serve` go before the environment.
`artcafe check-config` shows what is in force, with secrets as stars, and refuses what `artcafe up` or
`artcafe serve` (`--for serve`) would refuse at its start.

A variable that begins with `ARTCAFE_` and that nobody knows keeps the server from starting: a typo in a
rule is no rule. The variables that Kubernetes makes of a Service called `artcafe`, such as
`ARTCAFE_PORT=tcp://10.96.12.1:8000`, are ignored, and so is that one by the command line.

The issuer is asked through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names, unless
`NO_PROXY` names its host; this machine is asked without, and `artcafe up` without an issuer asks nobody.
The command line and the SDK reach a platform by the same rules. Proxies are `http://` or `https://` ones;
another one is a fault where it would be used.
"""

_EVENTS = """\
# Log events

{note}

Everything is logged on standard error. A line about a client is an event: its name, and fields that
programs can read. With `ARTCAFE_LOG_FORMAT=json` every line is one JSON object of at most 4,096 bytes with
`time`, `level`, `logger` and `message`; an event has `event` and its fields beside them. In the format for
people the fields stand behind the name as `name=value`, in quotes with JSON's escapes where a value is more
than a word. A field that does not apply is left out. Nothing that a client sends can begin a line or reach a
terminal, and no field is longer than 256 characters. No line holds a secret, a token, a signature, a
challenge or a payload.

**Folding.** Of events that agree in the fields of "folded by", the first ten in a minute are written; the
others are counted, and a line with these fields and the exact number in `repeated` follows when the minute
is over, or when the process ends. IPv6 addresses agree in their /64. The number of kinds that are told apart
is fixed (1,024 of proven clients, 512 of strangers, 512 of all other lines); what comes beyond is counted by
event, in a line with `others`. Proven clients cause `ARTCAFE_LOG_RATE` lines a second over some time,
strangers half as many, and all other lines (faults, warnings) have as many as strangers; twenty seconds'
worth may come at once. Lines at DEBUG are not folded. Each process counts for itself.

## Events

"""

_REASONS = """
## Reasons of a refused login

`reason` of `login_refused`. Clients are told none of them: `code` is what they get.

"""

_METRICS = """\
# Metrics

{note}

What a server with `ARTCAFE_METRICS_PORT` tells Prometheus at `/metrics`. [operating.md](operating.md#metrics)
says how to reach it, and which alerts there are. With `--workers` the port is the parent's, and the values
are those of all its workers: added up, or the largest or smallest of them, as "several processes" says. A
counter never goes back when a worker ends; the gauges of one that ended are gone. Several servers are several
targets: over them take `sum` of what is added up here, and `max` or `min` of the rest.

Messages and bytes are read from the counters that usage and bills are made of; nothing is counted a second
time. No label names a tenant, an agent, a channel or an address. Besides these there are the `process_*`
metrics of prometheus-client (CPU, memory, open files).

"""

_TENANTS_OWN = """
## A tenant's own

`GET /api/v1/tenants/{tenant_id}/metrics` tells a tenant's members what it has and uses, over all servers: as
JSON, or in Prometheus' text format where Accept names `text/plain`, as Prometheus does. Counters begin anew
with each month. `artcafe_tenant_limit` has a label `limit`, the limit's name (`agents`, `connections`, …).

"""

_COMMAND_LINE = """\

## The command line

The commands that talk to a platform read these; an option on the command line goes before each.

| variable | meaning |
|---|---|
| `ARTCAFE_URL` | The platform's address. Without it: the one that runs on this machine. |
| `ARTCAFE_PORT` | The port of a platform on this machine, in place of the address. |
| `ARTCAFE_DATA_DIR` | Where the platform of this machine keeps its data: there its address and secret are. |
| `ARTCAFE_TOKEN` | Your access token. **Secret.** Without it: one of the platform on this machine. |
| `ARTCAFE_TENANT` | The tenant's id. |
| `ARTCAFE_AGENT` | The agent's id, for commands that act as an agent. |
| `ARTCAFE_KEY` | The agent's private key file or, with `--ssh-agent`, the fingerprint of the key to use. |
"""


def errors() -> str:
    """docs/errors.md, from wire/codes.py."""
    note = _NOTE.format(source="src/artcafe/wire/codes.py")
    parts = [_ERRORS.format(note=note, come_back=_spans(filter(may_reconnect, CLOSE_CODES)))]
    codes = sorted(Code, key=lambda code: code.value.number)
    for group, members in groupby(codes, key=lambda code: code.value.number // 100):
        rows = (
            (
                f"`{code.name}`",
                f"{code.value.number}",
                f"{code.value.http or NONE}",
                f"{code.value.close or NONE}",
                "yes" if code.value.retry else "no",
                code.value.when,
            )
            for code in members
        )
        parts.append(f"\n## {_GROUPS[group]}\n\n")
        parts.append(_table(("name", "number", "HTTP", "close", "retry", "when"), rows))
    return "".join(parts)


def _spans(numbers: Iterable[int]) -> str:
    """Numbers in order as people write them: `1001, 1011-1013`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else f"{span[0]}" for span in spans)


def settings() -> str:
    """docs/settings.md, from server/settings.py."""
    schema = Settings.model_json_schema(by_alias=False)["properties"]
    rows = []
    for name, names in variables().items():
        field = _plain(schema[name])
        rows.append(
            (
                f"`{names[0]}`",
                ", ".join(f"`{older}`" for older in names[1:]) or NONE,
                _default(field),
                _values(field),
                "yes" if _secret(field) else "no",
                field["description"],
            )
        )
    head = ("variable", "older name", "default", "values", "secret", "meaning")
    note = _NOTE.format(source="src/artcafe/server/settings.py")
    return _SETTINGS.format(note=note) + "\n" + _table(head, rows) + _COMMAND_LINE


def log_events() -> str:
    """docs/log-events.md, from server/events.py and domain/login_refusal.py."""
    parts = [_EVENTS.format(note=_NOTE.format(source="src/artcafe/server/events.py"))]
    rows = (
        (
            f"`{event.__struct_config__.tag}`",
            logging.getLevelName(event.level).lower() if event is not Request else "by status",
            ", ".join(f"`{field}`" for field in event.__struct_fields__),
            "never" if event.alike is None else ", ".join(f"`{field}`" for field in event.alike),
            _sentence(event.__doc__),
        )
        for event in Event.__subclasses__()
    )
    parts.append(_table(("event", "level", "fields", "folded by", "when"), rows))
    parts.append(_REASONS)
    parts.append(_table(("reason", "meaning"), ((f"`{each}`", each.meaning) for each in LoginRefusal)))
    return "".join(parts)


def metrics() -> str:
    """docs/metrics.md, from server/telemetry/names.py."""
    rows = (
        (
            f"`{metric.name}`",
            metric.kind.value,
            "; ".join(f"`{label}`: {values}" for label, values in metric.labels.items()) or NONE,
            metric.across.value,
            metric.meaning,
        )
        for metric in METRICS
    )
    of_tenants = (
        (f"`{metric.name}`", metric.kind, f"`{metric.field}`", metric.meaning)
        for metric in (*TENANT_METRICS, LIMIT_METRIC)
    )
    note = _NOTE.format(source="src/artcafe/server/telemetry/names.py and api/tenant_metrics.py")
    return (
        _METRICS.format(note=note)
        + _table(("metric", "type", "labels", "several processes", "meaning"), rows)
        + _TENANTS_OWN
        + _table(("metric", "type", "field", "meaning"), of_tenants)
    )


def _sentence(docstring: str | None) -> str:
    return " ".join((docstring or "").split())


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "errors.md": errors(),
        "settings.md": settings(),
        "log-events.md": log_events(),
        "metrics.md": metrics(),
    }


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A property of a JSON Schema; what may be null, as if it might not."""
    for choice in field.get("anyOf", []):
        if choice != {"type": "null"}:
            return {**field, **choice}
    return field


def _secret(field: dict[str, Any]) -> bool:
    return field.get("format") == "password"


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    if default is None or default == "":
        return NONE
    return f"`{str(default).lower() if field['type'] == 'boolean' else default}`"


def _values(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "boolean":
        return "`true`, `false`"
    if field["type"] not in {"integer", "number"}:
        return "path" if field.get("format") == "path" else "text"
    bounds = {
        "minimum": "from {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "to {}",
        "exclusiveMaximum": "less than {}",
    }
    said = [words.format(field[bound]) for bound, words in bounds.items() if bound in field]
    kind = "whole number" if field["type"] == "integer" else "number"
    return " ".join([kind, *said])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def main(words: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 when `--check` finds a page that is missing or not current."""
    parser = argparse.ArgumentParser(prog="python -m artcafe.server.reference", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the pages are")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page differs")
    given = parser.parse_args(words)
    stale = []
    for name, text in pages().items():
        path = given.directory / name
        if not path.is_file() or path.read_bytes() != text.encode():
            stale.append(path)
            if not given.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode())
    for path in stale:
        state = "is not current; run `make docs`" if given.check else "written"
        sys.stdout.write(f"{path} {state}\n")
    return 1 if given.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
