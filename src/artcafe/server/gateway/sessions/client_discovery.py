"""The questions of one client for agents that are online, and those whose answers it follows."""

from functools import partial

from artcafe.server.domain.access import Rights
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.fanout.roster import Follower, Roster, Rosters
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.ports.bus import Link
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.discovery import (
    MAX_FOLLOWED,
    AgentChange,
    AgentChanged,
    Agents,
    DiscoveryFrame,
    OnlineAgent,
    Unfollow,
    Unfollowed,
    Who,
)
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_pattern

_PRESENCE = "presence.*"


class ClientDiscovery:
    """Answers `who` and `unfollow`. Who may subscribe to `presence.*` may ask: it tells the same."""

    __slots__ = ("_answers", "_followed", "_left", "_link", "_presence", "_rights", "_rosters", "_tenant")

    def __init__(
        self, rosters: Rosters, tenant: TenantId, link: Link, answers: Answers, rights: Rights
    ) -> None:
        self._rosters = rosters
        self._link = link
        self._answers = answers
        self._rights = rights
        self._presence = parse_pattern(_PRESENCE, tenant)
        self._tenant = tenant
        self._followed: dict[str, tuple[Roster, Follower]] = {}
        self._left = False

    def take(self, frame: DiscoveryFrame) -> Work | None:
        """Handle a frame; what has to wait is handed back. Raises not_found."""
        if isinstance(frame, Who):
            return self._ask(frame)
        self._unfollow(frame)
        return None

    async def _ask(self, frame: Who) -> None:
        """Answer with a page, and follow from it on where that is asked for."""
        try:
            self._rights.check_subscribe(self._presence, queue=False)
            if frame.follow:
                self._require_room(frame.id)
            roster = self._rosters.of(self._tenant, self._link)
            await roster.complete()
            self._rights.check_subscribe(self._presence, queue=False)
        except ArtcafeError as error:
            self._answers.refuse(error, frame.id)
            return
        if self._left:
            return
        # Nothing comes between the page and the first change that is told.
        agents, last = roster.page(frame)
        if frame.follow:
            tell, ended = partial(self._tell, frame.id), partial(self._ended, frame.id)
            self._followed[frame.id] = roster, roster.follow(frame, tell, ended)
        self._answers.send(Agents(id=frame.id, agents=agents, next=last))

    def _require_room(self, name: str) -> None:
        """Raises conflict, too_many_subscriptions."""
        if name in self._followed:
            raise ArtcafeError(Code.conflict, "A `who` of this id is followed already.")
        if len(self._followed) >= MAX_FOLLOWED:
            raise ArtcafeError(
                Code.too_many_subscriptions, f"A connection follows {MAX_FOLLOWED} answers at most."
            )

    def _tell(self, name: str, change: AgentChange, agent: OnlineAgent) -> None:
        self._answers.send(AgentChanged(id=name, change=change, agent=agent))

    def _ended(self, name: str) -> None:
        self._followed.pop(name, None)
        self._over(name, ArtcafeError(Code.unavailable, "The answer is followed no more: ask again."))

    def _over(self, name: str, error: ArtcafeError) -> None:
        """Tell the client that what it follows has ended."""
        self._answers.send(frames.Error(code=error.code.name, message=error.message, details={"who": name}))

    def _unfollow(self, frame: Unfollow) -> None:
        """Follow it no more. Raises not_found."""
        followed = self._followed.pop(frame.who, None)
        if followed is None:
            raise ArtcafeError(Code.not_found, "No `who` of this id is followed.")
        roster, follower = followed
        roster.unfollow(follower)
        self._answers.send(Unfollowed(who=frame.who, id=frame.id))

    def rights_changed(self, rights: Rights) -> None:
        """Go by these rights. What is followed ends where they forbid it, and the client is told of each."""
        self._rights = rights
        try:
            rights.check_subscribe(self._presence, queue=False)
        except ArtcafeError as error:
            for name in self._followed:
                self._over(name, error)
            self._end()

    def leave(self) -> None:
        """Follow nothing any more."""
        self._left = True
        self._end()

    def _end(self) -> None:
        for roster, follower in self._followed.values():
            roster.unfollow(follower)
        self._followed.clear()
