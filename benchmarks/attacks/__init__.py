"""Attacks on a running platform: what one client may try, each bounded in count and time.

`ATTACKS` lists them all. Each is a coroutine function with a title that attacks for some seconds and
gives back one sentence about what it saw; how the neighbours fared is measured by `benchmarks.attack`.
"""

from benchmarks.attacks import http, login, matching, records, sockets
from benchmarks.attacks.target import Attack

ATTACKS: tuple[Attack, ...] = (
    *http.ATTACKS,
    *sockets.ATTACKS,
    *matching.ATTACKS,
    *records.ATTACKS,
    *login.ATTACKS,
)
