"""Proof of identity: SSH signatures, tokens."""
