"""A tree of patterns over the tokens of subjects: which patterns receive a subject, cover a pattern or
overlap with one, and how many of them one subject can meet at most.

Patterns and subjects are already checked, in one form throughout: all as they travel on the bus, say. `*`
stands for one token, a last `>` for one or more.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Node(Generic[Item]):
    """One token of patterns. `most` is the bound of `Interest.most` for what is at or below this node."""

    __slots__ = ("below", "here", "highest", "most", "tops")

    def __init__(self) -> None:
        self.below: dict[str, _Node[Item]] = {}
        self.here: list[Item] = []
        self.most = 0
        # The highest `most` of the children that are words, and how many of them have which.
        self.highest = 0
        self.tops: dict[int, int] | None = None

    def bound(self) -> int:
        """`most`, from the children's."""
        below = self.below
        rest, any_ = below.get(">"), below.get("*")
        further = self.highest + (0 if rest is None else rest.most) + (0 if any_ is None else any_.most)
        return max(len(self.here), further)

    def moved(self, before: int, now: int) -> None:
        """A child that is a word went from one `most` to another; 0 is that of no child."""
        tops = self.tops
        if tops is None:
            tops = self.tops = {}
        if now:
            tops[now] = tops.get(now, 0) + 1
        if before:
            tops[before] -= 1
            if not tops[before]:
                del tops[before]
        if now > self.highest:
            self.highest = now
        elif before == self.highest and before not in tops:
            self.highest = max(tops, default=0)


class Interest(Generic[Item]):
    """Items, each under the pattern that it was added with.

    To ask what receives a subject visits at most `most` nodes for each of its tokens, however many
    patterns there are. `visited` counts nodes, in all questions so far.
    """

    __slots__ = ("_root", "visited")

    def __init__(self) -> None:
        self._root: _Node[Item] = _Node()
        self.visited = 0

    @property
    def most(self) -> int:
        """No subject is received by more items than this: an upper bound that is cheap to keep.

        It is exact for patterns that differ in the words of one token. Where a `*` and words stand at the
        same place, it adds the most that lies below the `*` to the most below any one of the words,
        whether or not the same rest of a subject meets both.
        """
        return self._root.most

    def add(self, pattern: str, item: Item) -> None:
        """Add an item; its pattern may have others. Nothing happens when it is there."""
        path = [self._root]
        tokens = pattern.split(".")
        for token in tokens:
            below = path[-1].below
            node = below.get(token)
            if node is None:
                node = below[token] = _Node()
            path.append(node)
        if item not in path[-1].here:
            path[-1].here.append(item)
            self._rebound(path, tokens)

    def discard(self, pattern: str, item: Item) -> None:
        """Remove an item, and what only it needed; nothing happens when it is not there."""
        path = [self._root]
        tokens = pattern.split(".")
        for token in tokens:
            node = path[-1].below.get(token)
            if node is None:
                return
            path.append(node)
        if item in path[-1].here:
            path[-1].here.remove(item)
            self._rebound(path, tokens)
        while tokens and not path[-1].here and not path[-1].below:
            path.pop()
            del path[-1].below[tokens.pop()]

    def _rebound(self, path: list[_Node[Item]], tokens: list[str]) -> None:
        """The last node of a path has other items: let every node above know."""
        for depth in range(len(tokens), -1, -1):
            node = path[depth]
            before, node.most = node.most, node.bound()
            if node.most == before:
                return
            if depth and tokens[depth - 1] not in {"*", ">"}:
                path[depth - 1].moved(before, node.most)

    def of(self, subject: str) -> list[Item]:
        """The items whose pattern receives the subject."""
        found: list[Item] = []
        nodes = [self._root]
        for token in subject.split("."):
            self.visited += len(nodes)
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

    def covering(self, pattern: str) -> list[Item]:
        """The items whose pattern receives every subject that this one receives."""
        found: list[Item] = []
        nodes = [self._root]
        for token in pattern.split("."):
            self.visited += len(nodes)
            reached: list[_Node[Item]] = []
            for node in nodes:
                below = node.below
                if ">" in below:
                    found.extend(below[">"].here)
                if token != ">" and "*" in below:
                    reached.append(below["*"])
                if token not in {"*", ">"} and token in below:
                    reached.append(below[token])
            nodes = reached
        for node in nodes:
            found.extend(node.here)
        return found

    def overlapping(self, pattern: str) -> Iterator[Item]:
        """The items whose pattern receives some subject that this one receives, one after the other.

        To look at them all visits every node that overlaps.
        """
        nodes = [self._root]
        for token in pattern.split("."):
            self.visited += len(nodes)
            reached: list[_Node[Item]] = []
            for node in nodes:
                if token == ">":
                    yield from self._all_below(node)
                    continue
                below = node.below
                if ">" in below:
                    yield from below[">"].here
                if token == "*":
                    reached.extend(child for name, child in below.items() if name != ">")
                else:
                    reached.extend(below[name] for name in ("*", token) if name in below)
            nodes = reached
        for node in nodes:
            yield from node.here

    def _all_below(self, top: _Node[Item]) -> Iterator[Item]:
        waiting = list(top.below.values())
        while waiting:
            node = waiting.pop()
            self.visited += 1
            yield from node.here
            waiting.extend(node.below.values())
