"""Costly signatures are checked in threads, a bounded number at a time, and no tenant fills them all."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from artcafe.server.domain.signature import Signature
from artcafe.server.identity import verification
from artcafe.server.identity.ssh import SshVerifier
from artcafe.server.identity.verification import Verification
from artcafe.wire.codes import Code
from tests.kit.outcomes import outcome, refused
from tests.kit.ssh_keys import KeyRing, ssh_keygen_sign

TEXT = b"text"
COSTLY = Signature("ssh-rsa", 512, bytes(512))
QUICK = Signature("ssh-ed25519", 0, bytes(64))


class GatedVerifier(SshVerifier):
    """Waits at the gate, and notes in which threads it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.threads: set[str] = set()

    def prove(self, keys: Sequence[str], text: bytes, shown: Signature) -> str | None:
        """See SshVerifier."""
        self.threads.add(threading.current_thread().name)
        if shown is COSTLY:
            assert self.gate.wait(30)
        return super().prove(keys, text, shown)


@pytest.fixture
def gated() -> Iterator[GatedVerifier]:
    verifier = GatedVerifier()
    yield verifier
    verifier.gate.set()


@pytest.mark.parametrize("kind", ["ed25519", "rsa-2048", "rsa-3072", "ecdsa-384"])
async def test_every_kind_is_proved(kind: str, tmp_path: Path) -> None:
    keys = KeyRing(tmp_path)
    verifier = Verification(SshVerifier())
    shown = verifier.read(ssh_keygen_sign(keys.path(kind), TEXT))
    assert shown is not None

    assert await verifier.prove("acme", [keys.line(kind)], TEXT, shown) == keys.line(kind)
    assert await verifier.prove("acme", [keys.line(kind)], b"another", shown) is None
    verifier.close()


async def test_the_loop_checks_what_is_quick_and_threads_what_is_costly(gated: GatedVerifier) -> None:
    verifier = Verification(gated)
    costly = asyncio.create_task(verifier.prove("acme", [], TEXT, COSTLY))
    await asyncio.sleep(0)

    assert await verifier.prove("acme", [], TEXT, QUICK) is None
    gated.gate.set()
    assert await costly is None
    assert threading.current_thread().name in gated.threads
    assert len(gated.threads) == 2
    verifier.close()


async def test_so_many_wait_of_one_tenant_and_in_all(
    gated: GatedVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MAX_WAITING", 5)
    monkeypatch.setattr(verification, "MAX_WAITING_OF_ONE", 3)
    verifier = Verification(gated)

    def ask(lane: str) -> "asyncio.Task[object]":
        return asyncio.create_task(outcome(verifier.prove(lane, [], TEXT, COSTLY)))

    waiting = [ask("acme") for _ in range(3)]
    await asyncio.sleep(0)
    with refused(Code.rate_limited):
        await verifier.prove("acme", [], TEXT, COSTLY)
    waiting += [ask("other"), ask("other")]
    await asyncio.sleep(0)
    with refused(Code.rate_limited):
        await verifier.prove("third", [], TEXT, COSTLY)
    assert await verifier.prove("third", [], TEXT, QUICK) is None

    gated.gate.set()
    assert await asyncio.gather(*waiting) == [None] * 5
    assert await verifier.prove("acme", [], TEXT, COSTLY) is None
    verifier.close()


async def test_one_who_leaves_gives_its_place_back(gated: GatedVerifier) -> None:
    verifier = Verification(gated)
    leaving = [
        asyncio.create_task(verifier.prove("acme", [], TEXT, COSTLY))
        for _ in range(verification.MAX_WAITING_OF_ONE)
    ]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)

    gated.gate.set()
    assert await verifier.prove("acme", [], TEXT, COSTLY) is None
    verifier.close()
