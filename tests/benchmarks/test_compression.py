"""Compression is measured on messages that come out as they went in, and that are not all alike."""

import random
import zlib

import pytest

from benchmarks.compression import LEVELS, Cost, Deflate, cost, memory_of_one, messages, text
from benchmarks.figures import Figure
from benchmarks.measure import machine


@pytest.mark.parametrize("size", [256, 8192])
def test_messages_have_about_the_size_and_differ(size: int) -> None:
    sent = messages(size, 20, random.Random(1))
    assert all(size <= len(message) < size + 150 for message in sent)
    assert len(set(sent)) == 20
    assert sent == messages(size, 20, random.Random(1))


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_compressed_comes_back(level: int, takeover: bool) -> None:
    sent = messages(256, 50, random.Random(2))
    found = cost(sent, 256, level, takeover=takeover)
    assert 0 < found.left < 1
    assert found.compress_us.median > 0
    assert found.read_us.median > 0


def test_a_payload_is_what_rfc_7692_puts_on_the_wire() -> None:
    """Its example of section 7.2.3.1, and of 7.2.3.2, where the context is taken over."""
    both = Deflate(zlib.Z_DEFAULT_COMPRESSION, takeover=True)
    assert both.compress(b"Hello").hex() == "f248cdc9c90700"
    assert both.compress(b"Hello").hex() == "f200110000"
    anew = Deflate(zlib.Z_DEFAULT_COMPRESSION, takeover=False)
    assert anew.compress(b"Hello") == anew.compress(b"Hello") == bytes.fromhex("f248cdc9c90700")


def test_smaller_windows_hold_less() -> None:
    assert memory_of_one(9, 1) < memory_of_one(15, 8)


def test_the_table_has_every_way() -> None:
    way = Cost(256, 6, True, Figure(12.3, 12.0, 13.0), Figure(1.2, 1.0, 1.3), 0.302)
    told = text([way], {"small windows": 44_000.0}, machine())
    assert "| 256 B, level 6, context taken over | 30% | 12.3 | 1.2 |" in told
    assert "43 KiB with small windows" in told
