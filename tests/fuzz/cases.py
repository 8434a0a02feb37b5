"""The cases of a fuzz: as many as a test asks for, or more until a time is over.

`FUZZ_SEED=7` makes other cases than the usual ones; a failure names its seed and its number.
"""

import itertools
import os
import random
import time
from collections.abc import Iterator

SEED = int(os.environ.get("FUZZ_SEED", "1"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""For how long a test goes on at least: none, where only the usual cases are wanted."""


def cases(usual: int) -> Iterator[tuple[str, random.Random]]:
    """The name of each case, and the source of all its choices: the same name is the same case."""
    end = time.monotonic() + SECONDS
    for number in itertools.count():
        if number >= usual and time.monotonic() >= end:
            return
        name = f"{SEED}/{number}"
        yield f"FUZZ_SEED={SEED}, case {number}", random.Random(name)
