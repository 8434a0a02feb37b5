"""Presence: the connected agents over all server processes, and the leases by which that is right."""
