"""WebSockets: the mount that carries them, the connection that speaks the protocol, the hub that delivers."""
