"""Streams of JetStream: committing, reading and following what they store."""
