"""Verifies expensive signatures in a bounded pool of threads, beside the event loop."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from artcafe.server.domain.signature import Signature
from artcafe.server.identity.ssh import SshVerifier, is_costly
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

THREADS = 2

MAX_WAITING = 256
"""Costly checks that wait or run at once."""

MAX_WAITING_OF_ONE = 32
"""Of them, in one lane, so that one tenant's flood leaves room for the others'."""


class Verification:
    """ports.SignatureVerifier. What is quick is checked at once: handing it over would cost more."""

    def __init__(self, verifier: SshVerifier) -> None:
        self._verifier = verifier
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="verify")
        self._waiting: Counter[str] = Counter()

    def close(self) -> None:
        """Check nothing more; what waits is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def read(self, signature: str) -> Signature | None:
        """Read a signature (SshVerifier.read)."""
        return self._verifier.read(signature)

    async def prove(self, lane: str, keys: Sequence[str], text: bytes, shown: Signature) -> str | None:
        """See ports.SignatureVerifier."""
        if not is_costly(shown):
            return self._verifier.prove(keys, text, shown)
        if self._waiting.total() >= MAX_WAITING or self._waiting[lane] >= MAX_WAITING_OF_ONE:
            raise ArtcafeError(
                Code.rate_limited, "Too many logins wait for their signature to be checked.", retry_after=1.0
            )
        self._waiting[lane] += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._verifier.prove, keys, text, shown)
        finally:
            self._waiting[lane] -= 1
            if not self._waiting[lane]:
                del self._waiting[lane]
