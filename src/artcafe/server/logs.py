"""What the processes log: lines for people, or for programs."""

import json
import logging
import sys

from artcafe.server.settings import Settings
from artcafe.wire.times import rfc3339


class _JsonLines(logging.Formatter):
    """One JSON object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(settings: Settings) -> None:
    """Send every log record to standard error, in the format and from the level that are set."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(_JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Third parties speak up when something is wrong.
    for name in ("httpx", "httpcore", "uvicorn", "asyncio", "nats"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
