"""Presence: the connected agents over all server processes."""
