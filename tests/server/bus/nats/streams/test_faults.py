"""What an error of JetStream is here."""

import pytest

from artcafe.server.bus.nats.streams.faults import Fault, meaning
from artcafe.wire.codes import Code


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(10077, "maximum messages exceeded"), Code.channel_full),
        (Fault(10077, "maximum bytes exceeded"), Code.channel_full),
        (Fault(10077, "write /data: no space left on device"), Code.unavailable),
        (Fault(10054, "message size exceeds maximum allowed"), Code.too_large),
        (Fault(10059, "stream not found"), Code.not_found),
        (Fault(10060, "expected stream does not match"), Code.not_found),
        (Fault(10158, "duplicate message id is in process"), Code.outcome_unknown),
        (Fault(10008, "jetstream system temporarily unavailable"), Code.unavailable),
        (Fault(10023, "insufficient resources"), Code.unavailable),
        (Fault(), Code.unavailable),
    ],
)
def test_a_fault_has_a_code(fault: Fault, code: Code) -> None:
    assert meaning(fault).code is code
