"""What is certified: an app in a Talkdesk that can be played with, or one that is deployed for real."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - a field's type
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Bar:
    """How the Talkdesk bar is known: a CSS selector, its height in CSS pixels, its name for screen readers.

    ``plain``: its edges are of one colour, so that pixels can be compared too.
    """

    selector: str
    height: int = 48
    name: str | None = None
    plain: bool = False


#: The bar of the sandbox's Talkdesk.
SANDBOX_BAR = Bar(selector="talkdesk-bar", name="Talkdesk", plain=True)


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A Talkdesk with a console: its address, and the app's name in its marketplace.

    ``install_link`` is the app's private-install link; None: the one that the console's first page shows for
    ``app``. ``reseller`` is an account of a reseller whom the app knows as one. ``proxy`` is what the browser
    goes through.
    """

    console: str
    app: str = "Callboard"
    install_link: str | None = None
    reseller: str = "meridian"
    bar: Bar | None = SANDBOX_BAR
    proxy: str | None = None

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self.console


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A real deployment: what the app's icon leads to, and the app's name.

    ``state`` is a browser's storage (Playwright's ``storageState``) with somebody signed in to Talkdesk;
    ``user`` and ``account`` are words by which the app shows whose it is. What is None is left out.
    """

    url: str
    app: str
    state: Path | None = None
    user: str | None = None
    account: str | None = None
    bar: Bar | None = None
    proxy: str | None = None

    @property
    def name(self) -> str:
        """Its origin, without what a link may carry."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


Target = Sandbox | Deployment
