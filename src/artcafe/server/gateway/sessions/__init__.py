"""Connections and their sessions: what a client does once it is connected."""
