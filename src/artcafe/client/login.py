"""The client's side of the login: verifies a challenge before it signs it."""

from artcafe.wire import frames
from artcafe.wire.challenge import NAMESPACE, check_before_signing
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


def text_to_sign(challenge: frames.Challenge, *, server: str, tenant: str, agent: str) -> bytes:
    """The bytes to sign, once they are known to be a login of this agent at the server that was dialled.

    Raises unauthorized with a sentence for people; then nothing may be signed.
    """
    try:
        check_before_signing(challenge.text, server=server, tenant=tenant, agent=agent)
    except ValueError as error:
        raise ArtcafeError(Code.unauthorized, f"The login was stopped: {error}.") from error
    if challenge.namespace != NAMESPACE:
        raise ArtcafeError(Code.unauthorized, "The login was stopped: the challenge has another namespace.")
    return challenge.text.encode()


def answer(signature: str, *, name: str, version: str) -> bytes:
    """The `auth` frame that carries an armored SSHSIG, with the client's name for people who read logs."""
    client = frames.ClientInfo(name=name, version=version, features=[frames.CANCELLATIONS])
    return frames.encode(frames.Auth(signature=signature, client=client))
