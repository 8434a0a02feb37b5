"""The "bus unavailable" error."""

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


def bus_unavailable() -> ArtcafeError:
    """Returns the error to raise while the bus is unavailable: `unavailable`, which may be retried."""
    return ArtcafeError(Code.unavailable, "The bus is away for a moment.")
