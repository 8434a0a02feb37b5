"""The token bucket."""

PATIENCE = 10
"""Seconds' worth of frames that are borne before the client is flooding: messages that were refused,
and frames that are no messages. They are forgiven at the rate itself, so whoever sends less than
twice of it is never closed for it."""


class TokenBucket:
    """`rate` tokens a second, `burst` at most. Time is passed in, in seconds that never go back.

    `tokens` are those that were left when one was taken last.
    """

    __slots__ = ("_at", "burst", "rate", "tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self._at = now

    def spend(self, now: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there is (none is taken)."""
        tokens = self.tokens + (now - self._at) * self.rate
        tokens = min(tokens, self.burst)
        self._at = now
        if tokens >= 1.0:
            self.tokens = tokens - 1.0
            return 0.0
        self.tokens = tokens
        return (1.0 - tokens) / self.rate

    def give_back(self) -> None:
        """Put the token back that was taken last."""
        self.tokens = min(self.tokens + 1.0, self.burst)


def message_bucket(messages_per_second: int, now: float) -> TokenBucket:
    """The bucket of what one connection publishes, or one human over REST: two seconds' worth at once."""
    return TokenBucket(float(messages_per_second), 2.0 * messages_per_second, now)


def patience_bucket(messages_per_second: int, now: float) -> TokenBucket:
    """The bucket of what is borne of a connection with this rate before it is flooding."""
    return TokenBucket(float(messages_per_second), float(PATIENCE * messages_per_second), now)
