"""The ledger: what the stand-in received, answered, sent and decided, and never a secret."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from talkdesk_sandbox.talkdesk.hosts import millis_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Kind = Literal["authorize", "token", "api", "key", "delivery", "transition", "control", "proxy", "cluster"]

HIDDEN = "***"
#: Larger bodies are told by size and keys alone, so that the ledger of 10,000 users stays readable.
_LARGEST_BODY = 8192
_SECRET = re.compile(
    r"secret|private_?key|password|assertion(?!_type)|^(access_|refresh_|id_|)token$|^sid$", re.IGNORECASE
)
_PLAIN_QUERY = re.compile(r"(page|per_page|active)=[A-Za-z0-9]{1,16}")


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret."""
    return _SECRET.search(name) is not None


def without_secrets(value: Any) -> Any:
    """``value`` with every string under a secret's name, or in a list there, replaced by ``***``."""
    if isinstance(value, dict):
        return {
            key: _concealed(item) if is_secret_name(str(key)) else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def _concealed(value: Any) -> Any:
    if isinstance(value, list):
        return [_concealed(item) for item in value]
    return HIDDEN if isinstance(value, str) else without_secrets(value)


def shown_body(value: Any) -> Any:
    """A JSON body as the ledger shows it."""
    shown = without_secrets(value)
    size = len(json.dumps(shown))
    if size <= _LARGEST_BODY:
        return shown
    return {"bytes": size, "keys": sorted(value) if isinstance(value, dict) else type(value).__name__}


def shown_url(url: str) -> str:
    """A URL without user info, fragment, and any query value that is not plainly harmless."""
    parts = urlsplit(url)
    query = "&".join(one for one in parts.query.split("&") if _PLAIN_QUERY.fullmatch(one))
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query=query, fragment="").geturl()


class Ledger:
    """Entries in order; ``seq`` counts from 1."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._entries: list[dict[str, Any]] = []
        self._grown = asyncio.Event()

    def add(
        self,
        kind: Kind,
        *,
        method: str | None = None,
        url: str | None = None,
        status: int | None = None,
        seconds: float | None = None,
        detail: dict[str, Any] | None = None,
        **about: str | None,
    ) -> None:
        """Write one line. ``about`` is installation_id, account_id, event_id, event_type where they apply."""
        entry: dict[str, Any] = {
            "seq": len(self._entries) + 1,
            "at": millis_time(self._now()),
            "kind": kind,
            "method": method,
            "url": None if url is None else shown_url(url),
            "status": status,
            "seconds": None if seconds is None else round(seconds, 4),
            **{key: value for key, value in about.items() if value is not None},
            "detail": without_secrets(detail or {}),
        }
        self._entries.append(entry)
        self._grown.set()
        self._grown = asyncio.Event()

    @property
    def last(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return len(self._entries)

    def since(self, seq: int) -> list[dict[str, Any]]:
        """The entries after ``seq``."""
        return self._entries[max(0, seq) :]

    async def wait(self, seq: int, *, seconds: float) -> list[dict[str, Any]]:
        """As :meth:`since`, but waits up to ``seconds`` of wall time for the first."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not self.since(seq):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            try:
                await asyncio.wait_for(self._grown.wait(), left)
            except TimeoutError:
                break
        return self.since(seq)
