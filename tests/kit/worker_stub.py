"""A worker that does what its order's settings say, in a few milliseconds: `python worker_stub.py`.

`ready`: say so. `end`: exit with that code. `beat`: tell that the loop turns, this often a second.
`deaf`: do not end when asked. SIGUSR2 makes it say that it is ready.
"""

import json
import signal
import socket
import sys
import time


def main() -> None:
    order = json.loads(sys.stdin.readline())
    does = order["settings"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.connect(f"\0{order['ear']}")
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN if does.get("deaf") else lambda *_: sys.exit(0))
        signal.signal(signal.SIGUSR2, lambda *_: there.send(b"READY=1"))
        with open(does["log"], "a") as log:  # noqa: PTH123 - the standard library's quickest way
            log.write(f"{order['name']}\n")
        if does.get("ready"):
            there.send(b"READY=1")
        if "end" in does:
            sys.exit(does["end"])
        while True:
            if does.get("beat"):
                there.send(b"WATCHDOG=1")
            time.sleep(1 / does.get("beat", 1))


if __name__ == "__main__":
    main()
