"""What a signature says of the key that made it."""

from artcafe.server.domain.signature import Signature


def test_a_raw_signature_names_no_key() -> None:
    signature = Signature("ssh-ed25519", 0, bytes(64))

    assert (signature.signer, signature.fingerprint) == (None, None)
