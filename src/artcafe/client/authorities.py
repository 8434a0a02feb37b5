"""The default certificate authorities of a client: those of this machine."""

import ssl

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


def system_tls() -> ssl.SSLContext:
    """A context that trusts them. Raises bad_request where SSLKEYLOGFILE names what cannot be written."""
    try:
        return ssl.create_default_context()
    except OSError as error:
        message = f"SSLKEYLOGFILE names a file that cannot be written: {error.strerror}."
        raise ArtcafeError(Code.bad_request, message) from error
