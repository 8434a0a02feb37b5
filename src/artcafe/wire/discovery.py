"""The frames of discovery: which agents are online, with what they can do and what they say of themselves."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

Correlation = Annotated[str, Meta(min_length=1, max_length=64)]
"""frames.Id."""

Capability = Annotated[str, Meta(min_length=1, max_length=128)]

MAX_PAGE = 100
"""Agents in one `agents` frame."""

MAX_FOLLOWED = 8
"""Questions that one connection follows at a time."""

MAX_METADATA = 1024
"""Bytes of the metadata of a `presence` frame, as JSON, that are kept to be asked for."""


class Who(Struct, tag_field="type", tag="who", omit_defaults=True, kw_only=True):
    """Ask for the agents that are online, by id: those with this capability, or all of these, whose own word
    is `status`; a page behind the agent `after`.

    With `follow`, each change of the whole answer is told from the page on, until `unfollow`.
    """

    id: Correlation
    capability: Capability | Annotated[list[Capability], Meta(max_length=16)] | None = None
    status: Annotated[str, Meta(max_length=64)] | None = None
    after: Annotated[str, Meta(max_length=63)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = MAX_PAGE
    follow: bool = False

    @property
    def capabilities(self) -> list[str]:
        """Those that an agent has to have, all of them."""
        if self.capability is None:
            return []
        return [self.capability] if isinstance(self.capability, str) else self.capability


class Unfollow(Struct, tag_field="type", tag="unfollow", omit_defaults=True, kw_only=True):
    """End what `who` with this id follows."""

    who: Correlation
    id: Correlation | None = None


DiscoveryFrame = Who | Unfollow


class OnlineAgent(Struct, omit_defaults=True, kw_only=True):
    """An agent that is online: its capabilities, since when it is connected (RFC 3339), and what it said of
    itself last since then; without metadata where those are larger than MAX_METADATA."""

    id: str
    capabilities: list[str] = []
    since: str | None = None
    status: str | None = None
    metadata: dict[str, Any] | None = None


class Agents(Struct, tag_field="type", tag="agents", omit_defaults=True, kw_only=True):
    """The answer to `who`. Where `next` is there, more may follow: behind the agent of that id."""

    id: str
    agents: list[OnlineAgent]
    next: str | None = None


class AgentChange(StrEnum):
    """The ways in which an answer that is followed changes."""

    joined = "joined"
    """The agent came online, or fits the question now."""
    changed = "changed"
    """It says something else of itself, or its capabilities are others, and still fits."""
    left = "left"
    """It went offline, or does not fit any more; it is told as it was."""


class AgentChanged(Struct, tag_field="type", tag="agent_changed", kw_only=True):
    """A change of the answer to the `who` of this id."""

    id: str
    change: AgentChange
    agent: OnlineAgent


class Unfollowed(Struct, tag_field="type", tag="unfollowed", omit_defaults=True, kw_only=True):
    """From here on no change is told for this `who`."""

    who: str
    id: str | None = None
