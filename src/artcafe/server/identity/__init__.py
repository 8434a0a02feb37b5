"""Proof of who somebody is: SSH signatures, tokens."""
