"""WebSockets on the port of the REST API: handshake, frames, one open connection, its writer."""
