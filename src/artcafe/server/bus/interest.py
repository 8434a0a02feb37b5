"""Who wants what: patterns as a tree of their tokens. To ask takes as long however many there are."""

from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Node(Generic[Item]):
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Node[Item]] = {}
        self.here: dict[Item, None] = {}


class Interest(Generic[Item]):
    """Items by the pattern that each was added with. Patterns and subjects are checked ones (grammar)."""

    def __init__(self) -> None:
        self._root: _Node[Item] = _Node()

    def add(self, pattern: str, item: Item) -> None:
        """Add an item; its pattern may have others."""
        node = self._root
        for token in pattern.split("."):
            node = node.below.setdefault(token, _Node())
        node.here[item] = None

    def discard(self, pattern: str, item: Item) -> None:
        """Remove an item, and what only it needed; nothing happens when it is not there."""
        path = [self._root]
        tokens = pattern.split(".")
        for token in tokens:
            node = path[-1].below.get(token)
            if node is None:
                return
            path.append(node)
        path[-1].here.pop(item, None)
        while tokens and not path[-1].here and not path[-1].below:
            path.pop()
            del path[-1].below[tokens.pop()]

    def of(self, subject: str) -> list[Item]:
        """The items whose pattern receives the subject."""
        found: list[Item] = []
        nodes = [self._root]
        for token in subject.split("."):
            reached: list[_Node[Item]] = []
            for node in nodes:
                below = node.below
                if ">" in below:
                    found.extend(below[">"].here)
                if "*" in below:
                    reached.append(below["*"])
                if token in below:
                    reached.append(below[token])
            nodes = reached
        for node in nodes:
            found.extend(node.here)
        return found
