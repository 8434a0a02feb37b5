"""The accounts of an installation in NATS: their keys, their tokens and their management."""
