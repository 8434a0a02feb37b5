"""The HTTP edge: what a client may send, how much of it, and how long it may take."""
