"""A bounded cache of recently used values."""

from typing import Any


class Recent:
    """A bounded mapping that forgets what was not used for longest, roughly and cheaply.

    Entries are in two halves. When the newer half is full it becomes the older one, and what was in
    that is forgotten; an entry that is asked for moves to the newer half. So a flood of keys that are
    used once takes nothing from those that are used all the time, and no step costs more than a
    few others. Values are not None.
    """

    __slots__ = ("_half", "_newer", "_older")

    def __init__(self, most: int) -> None:
        """Hold so many entries at most."""
        self._half = max(most // 2, 1)
        self._newer: dict[Any, Any] = {}
        self._older: dict[Any, Any] = {}

    def __len__(self) -> int:
        """How many keys are held; one that moved and was put anew meanwhile counts once for each half."""
        return len(self._newer) + len(self._older)

    def get(self, key: Any) -> Any:
        """The value of a key, or None."""
        value = self._newer.get(key)
        if value is None:
            value = self._older.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: Any, value: Any) -> None:
        """Hold a value."""
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, {}
        self._newer[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._newer = {}
        self._older = {}
