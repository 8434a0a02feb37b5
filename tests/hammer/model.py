"""What was asked and answered, and what follows from it, whatever happened at the same time.

Each call has an interval on one logical clock. Of two calls that overlap nobody knows which was first; of
one whose outcome is unknown nobody knows whether it was done. What is certain in spite of that has to be so:
who may have access, and what is there at the end.

A thing is named by a path: `("acme",)` is a tenant, `("acme", "member", "ada")` a membership, and
`("acme", "agent", "a1", "n")` a field. What makes or ends a thing touches all that is below it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from artcafe.server.domain.access import LADDER
from artcafe.server.domain.tenant import Role

Path = tuple[str, ...]

FOREVER = 2**62


class Outcome(Enum):
    """What is known of a call."""

    done = "done"
    replayed = "replayed"
    """Answered with what is kept under its key: by another call, or itself when its first answer was lost."""
    refused = "refused"
    unknown = "unknown"


@dataclass(eq=False)
class Call:
    """One request, and what it changes when it is done: `effects`, where None is gone.

    `action` is the audit's word; it is empty for what changes nothing. `needs` is the least role of `user` in
    `tenant`. `series` is the Idempotency-Key, `answer` the body. An `idle` call changed nothing: another one
    with its key did.
    """

    request: str
    what: str
    user: str
    tenant: str
    action: str
    began: int
    effects: dict[Path, Any] = field(default_factory=dict)
    needs: Role | None = None
    series: str = ""
    ended: int = FOREVER
    outcome: Outcome = Outcome.unknown
    idle: bool = False
    status: int = 0
    answer: Any = None

    @property
    def sure(self) -> bool:
        """Whether it was done, by itself."""
        return self.outcome is Outcome.done

    @property
    def let_in(self) -> bool:
        """Whether it was answered with more than a refusal."""
        return self.outcome in {Outcome.done, Outcome.replayed}

    @property
    def possible(self) -> bool:
        """Whether it may have been done."""
        return self.outcome is not Outcome.refused and not self.idle

    def before(self, other: "Call") -> bool:
        """Whether it was over when the other one began."""
        return self.ended < other.began

    def touches(self, path: Path) -> bool:
        """Whether it makes the thing, changes or ends it, or something that it is a part of."""
        return any(path[: len(changed)] == changed for changed in self.effects)

    def __str__(self) -> str:
        ended = "…" if self.ended == FOREVER else self.ended
        return (
            f"[{self.began:>5} {ended:>5}] {self.request} {self.user}: {self.what}"
            f" → {self.status} {self.outcome.value}"
        )


def rank(role: Role) -> int:
    """Its place on the ladder; each role may do what those below it may."""
    return LADDER.index(role)


class History:
    """All calls of a run."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.now = 0

    def begin(self, call: Call) -> None:
        """It is sent."""
        self.calls.append(call)

    def tick(self) -> int:
        """The next moment."""
        self.now += 1
        return self.now

    def on(self, path: Path) -> list[Call]:
        """The calls that touch a thing, or something that it is a part of."""
        return [call for call in self.calls if call.touches(path)]

    def stood(self, path: Path, at: Call, fits: Iterable[Any]) -> bool:
        """Whether a thing may have had one of these values while a call was under way."""
        wanted, touching = set(fits), self.on(path)
        certain = [call for call in touching if call.sure and call.before(at)]
        return any(
            call.possible
            and call.began < at.ended
            and call.effects.get(path) in wanted
            and not any(call.before(later) for later in certain)
            for call in touching
        )

    def entitled(self, user: str, tenant: str, needs: Role, at: Call) -> bool:
        """Whether somebody may have been let into the tenant with such a role, while a call was under way."""
        return self.stood((tenant, "member", user), at, LADDER[rank(needs) :])

    def last(self, path: Path) -> Call | None:
        """The call that certainly was the last one to touch a thing; None where that is not known."""
        touching = [call for call in self.on(path) if call.possible]
        for call in touching:
            if call.sure and all(other is call or other.before(call) for other in touching):
                return call
        return None

    def paths(self) -> Iterator[Path]:
        """Everything that was ever touched."""
        yield from {path for call in self.calls for path in call.effects}

    def told(self, path: Path, most: int = 14) -> str:
        """The last calls that touch a thing, or what is below it."""
        about = [
            call
            for call in self.calls
            if call.touches(path) or any(changed[: len(path)] == path for changed in call.effects)
        ]
        return "\n".join(f"    {call}" for call in about[-most:])
