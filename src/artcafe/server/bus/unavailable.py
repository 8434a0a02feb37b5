"""What whoever asks the bus is told while it is not there."""

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


def away() -> ArtcafeError:
    """To be raised: it is worth trying again."""
    return ArtcafeError(Code.unavailable, "The bus is away for a moment.")
