"""The WebSocket gateway. Its folders, in order: websocket, dialects, fanout, sessions, login."""
