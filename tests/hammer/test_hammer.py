"""Random requests of several clients to several servers over one store, with faults; then the records hold.

`make hammer` does it for a minute under a seed that it prints, `make hammer SEED=7 SECONDS=300` under 7.
A seed says what is drawn. What is done at once has an order of its own all the same: keys are made in
threads, and stores but the one in memory have some. So a fault may take several runs of a seed to show again.
"""

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hammer.hammer import run
from tests.kit.stores import BACKENDS, SetClock

SEED = int(
    os.environ.get("HAMMER_SEED") or (secrets.randbelow(10**6) if "HAMMER_SECONDS" in os.environ else 1)
)
SECONDS = float(os.environ.get("HAMMER_SECONDS", "0"))
ACTS = 400
"""In one run. With a time, runs follow under the next seeds until it is over; else there is one."""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.timeout(SECONDS + 120)
async def test_whatever_happens_at_once_the_records_hold(
    backend: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    end = time.monotonic() + SECONDS / len(BACKENDS)
    seed, outcomes, ends = SEED, Counter[str](), 0
    while seed == SEED or time.monotonic() < end:
        async with BACKENDS[backend](tmp_path, SetClock()) as store:
            servers, history, wrong = await run(store, f"{seed}", ACTS)
        if wrong:
            pytest.fail(f"HAMMER_SEED={seed} on {backend}:\n" + "\n".join(wrong), pytrace=False)
        outcomes += Counter(call.outcome.value for call in history.calls)
        ends += servers.ends
        seed += 1
    record_property(
        "figures", f"  hammer on {backend}: seeds {SEED} to {seed - 1}, {dict(outcomes)}, {ends} servers died"
    )
