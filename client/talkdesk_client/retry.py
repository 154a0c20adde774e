"""When, and whether, a failed request is made once more. Pure: the clock and chance come as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from talkdesk_client.errors import RateLimited, ServerError, TalkdeskError, TransportError

if TYPE_CHECKING:
    from talkdesk_client.options import ClientOptions

#: Answers of these kinds may be different the next time; others will not be.
REPEATABLE = (TransportError, RateLimited, ServerError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Seconds, and a number of requests; see :class:`talkdesk_client.ClientOptions`."""

    attempts: int
    first: float
    longest: float
    budget: float

    @classmethod
    def of(cls, options: ClientOptions) -> RetryPolicy:
        return cls(
            attempts=options.retry_attempts,
            first=options.retry_first,
            longest=options.retry_longest,
            budget=options.retry_budget,
        )

    def wait(self, error: TalkdeskError, *, made: int, elapsed: float, chance: float) -> float | None:
        """Seconds to wait before the next request, None to give up with ``error``.

        ``made``  requests made so far; ``elapsed`` seconds since the call began; ``chance`` in [0, 1).
        Talkdesk's own wish is honoured in full, with a little jitter on top, or not at all: where it goes
        beyond the budget, the error with its ``retry_after`` is the caller's.
        """
        if not isinstance(error, REPEATABLE) or made >= self.attempts:
            return None
        ceiling = min(self.longest, self.first * 2.0 ** (made - 1))
        wait = ceiling * (0.5 + chance / 2)
        if error.retry_after is not None:
            wait = error.retry_after + self.first * chance
        return wait if elapsed + wait < self.budget else None


def retry_after_seconds(header: str | None, *, now: float) -> float | None:
    """``Retry-After`` as seconds from ``now`` (since 1970), never negative; None when absent or unreadable.

    Both forms of RFC 9110: a number of seconds, or an HTTP date.
    """
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
