"""Connections, as far as presence knows them."""


class Holder:
    """core.presence.Holder: a connection that subscribed to these patterns."""

    def __init__(self, *patterns: str) -> None:
        self.held = list(patterns)

    def patterns(self) -> list[str]:
        """See core.presence."""
        return self.held
