"""A real browser without a screen: Chromium, driven over its DevTools protocol."""

import base64
import itertools
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

START_SECONDS = 30.0
ANSWER_SECONDS = 20.0

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=1200,900",
)


class Page:
    """A tab. It remembers every address that was asked for, and every complaint of the console."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.requested: list[str] = []
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Log", "Runtime", "Page"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go there."""
        answer = self._call("Page.navigate", url=url)
        assert "errorText" not in answer, answer

    def until(self, expression: str) -> Any:
        """Wait for this JavaScript to be true, and give its value."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (value := self.value(expression)):
            assert time.monotonic() < deadline, (
                f"never true: {expression}; the console said {self.complaints}"
            )
            time.sleep(0.05)
        return value

    def value(self, expression: str) -> Any:
        """The value of this JavaScript."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """Write what is to be seen, as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": parameters}
        self._connection.send(
            json.dumps(call if self._session is None else {**call, "sessionId": self._session})
        )
        while True:
            message = json.loads(self._connection.recv(ANSWER_SECONDS))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                answer: dict[str, Any] = message["result"]
                return answer
            self._hear(message.get("method", ""), message.get("params", {}))

    def _hear(self, event: str, said: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requested.append(said["request"]["url"])
        elif event == "Log.entryAdded" and said["entry"]["level"] in {"warning", "error"}:
            self.complaints.append(said["entry"]["text"])
        elif event == "Runtime.consoleAPICalled" and said["type"] in {"warning", "error", "assert"}:
            self.complaints.append(str([part.get("value") for part in said["args"]]))
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(said["exceptionDetails"]["text"])


@contextmanager
def browser(directory: Path) -> Iterator[Page]:
    """Chromium with a profile of its own in this directory, and one tab; it ends with the block."""
    program = shutil.which("chromium")
    assert program, "the tests need chromium: run `make tools`"
    log = directory / "chromium.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={directory / 'profile'}", "about:blank"],
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while (said := re.search(r"DevTools listening on (ws://\S+)", log.read_text())) is None:
            assert process.poll() is None, f"chromium ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"chromium does not come up:\n{log.read_text()}"
            time.sleep(0.05)
        with connect(said[1], max_size=None, proxy=None) as connection:
            yield Page(connection)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
