"""Messages that came already, of those of which more copies may come."""


class DuplicateFilter:
    """Which messages came already, of those of which further copies may come. An id is held until so many
    other messages were asked about."""

    __slots__ = ("_count", "_most", "ids")

    def __init__(self, most: int) -> None:
        self.ids: dict[str | bytes, int] = {}
        self._most = most
        self._count = 0

    def is_first(self, name: str | bytes, more: bool) -> bool:
        """Whether a message was not held; it is from now on where `more` copies may come."""
        ids = self.ids
        if name in ids:
            return False
        self._count += 1
        if ids:
            oldest = next(iter(ids))
            if ids[oldest] + self._most <= self._count:
                del ids[oldest]
        if more:
            ids[name] = self._count
        return True
