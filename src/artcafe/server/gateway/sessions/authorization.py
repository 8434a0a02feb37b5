"""The authorization of one connection: its principal, until when it holds, and whether it is current."""

from artcafe.server.domain.principal import Human, Principal


class Authorization:
    """Empty until its connection is admitted. Nobody else writes what it holds.

    A change that may concern the principal is counted in `version`: rights that were read for an older
    version do not count. One refresh at a time reads them again.
    """

    __slots__ = ("_expires", "_principal", "_refreshing", "_version")

    def __init__(self) -> None:
        self._principal: Principal | None = None
        self._expires: int | None = None
        self._version = 0
        self._refreshing = False

    @property
    def principal(self) -> Principal | None:
        """The principal, as it was last read; None until the connection is admitted."""
        return self._principal

    @property
    def expires(self) -> int | None:
        """The end of what proved the principal, in Unix seconds; None where it has none."""
        return self._expires

    @property
    def version(self) -> int:
        """The number of changes so far."""
        return self._version

    @property
    def refreshing(self) -> bool:
        """Whether the rights are being read again."""
        return self._refreshing

    def admit(self, principal: Principal, expires: int | None) -> None:
        """The connection is admitted as this principal."""
        self._principal = principal
        self._expires = expires

    def renew(self, human: Human, expires: int) -> bool:
        """Take the same human by a newer token, a change; False for a token that expires no later."""
        assert self._expires is not None  # Of humans: a token proved them.
        if expires <= self._expires:
            return False
        self.admit(human, expires)
        self._version += 1
        return True

    def change(self) -> None:
        """The rights may have changed."""
        self._version += 1

    def begin_refresh(self) -> bool:
        """Whether the caller is to read the rights again and to `end_refresh`; False while another does."""
        if self._refreshing:
            return False
        self._refreshing = True
        return True

    def refreshed(self, principal: Principal) -> None:
        """Take the same principal as it was read again."""
        self._principal = principal

    def end_refresh(self) -> None:
        """The refresh is over, whether anything was read or not."""
        self._refreshing = False

    def expired(self, now: float) -> bool:
        """Whether it has ended at a time, in Unix seconds."""
        return self._expires is not None and self._expires <= now
