"""What a step of the sign-in comes to, and what it is decided by. Pure values."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from talkdesk_gateway.pages import Page, refusal_page
from talkdesk_gateway.verdict import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.key_ring import Key
    from talkdesk_gateway.tenancy import Tenancy

#: Ids of Talkdesk's are opaque, but not endless (``talkdesk_crds.meta.TalkdeskId``).
_MAX_ID = 128


def _draw() -> str:
    return secrets.token_urlsafe(32)


def _no_app() -> TalkdeskApp | None:
    return None


@dataclass(frozen=True)
class Moment:
    """What every step is decided by, beside its own input.

    ``origin(host)`` is ``scheme://host[:port]`` as browsers write it; ``reference`` what a page of this
    request would be quoted by; ``draw`` gives 43 unguessable characters; ``app()`` is whose contact a page
    names that is about no tenancy.
    """

    now: datetime
    keys: tuple[Key, ...]
    origin: Callable[[str], str]
    reference: str
    draw: Callable[[], str] = _draw
    app: Callable[[], TalkdeskApp | None] = _no_app

    def start(self, host: str, **query: str | None) -> str:
        """The URL at which a sign-in at ``host`` begins (anew); empty parameters are left out."""
        asked = urlencode({name: value for name, value in query.items() if value})
        return f"{self.origin(host)}/_td/start" + (f"?{asked}" if asked else "")


@dataclass(frozen=True)
class Go:
    """The browser is sent on to ``url``; ``cookies`` are ``Set-Cookie`` headers."""

    url: str
    cookies: tuple[str, ...] = ()
    outcome: str = "on"


@dataclass(frozen=True)
class Show:
    """A page. ``outcome`` labels the metric; ``detail`` is for the log, never a secret."""

    page: Page
    outcome: str
    tenancy: Tenancy | None = field(default=None, compare=False)
    detail: str = ""
    cookies: tuple[str, ...] = ()


Outcome = Go | Show


def refuse(
    why: Refusal,
    moment: Moment,
    *,
    tenancy: Tenancy | None = None,
    app: TalkdeskApp | None = None,
    detail: str = "",
    retry: str | None = None,
    cookies: tuple[str, ...] = (),
) -> Show:
    """The page of a refusal; of one by ``status.access`` the detail is its reason."""
    if why is Refusal.SUSPENDED and tenancy is not None:
        detail = tenancy.refusal
    if tenancy is None and app is None:
        app = moment.app()
    page = refusal_page(Refused(why, tenancy, detail, app), reference=moment.reference, retry=retry)
    return Show(page, why.value, tenancy=tenancy, detail=detail, cookies=cookies)


def identifier(text: str | None) -> str | None:
    """``text`` if it can be an id of Talkdesk's: printable ASCII of at most 128 characters; else None."""
    if not text or len(text) > _MAX_ID or not text.isascii() or not text.isprintable() or " " in text:
        return None
    return text
