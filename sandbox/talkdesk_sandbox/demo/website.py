"""The partner's own website: terms of service, support and the upgrade, which the demo app links to.

Anybody may read it; it is no part of the app, and runs in a thread of the sandbox's own process.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from talkdesk_sandbox.demo import pages
from talkdesk_sandbox.website import served

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "www.demo.localhost"
_PAGES = {
    "/terms": (
        "Terms of service",
        "Callboard is a demonstration. You may look at it as long as you like, and owe nobody anything.",
    ),
    "/support": ("Support", "Write to support@demo.localhost; a person answers within a working day."),
    "/upgrade": ("Upgrade", "Ask your Talkdesk administrator to choose another plan for Callboard."),
}


@contextlib.contextmanager
def website() -> Iterator[str]:
    """The base URL of the website, which is there while the block runs."""
    shown = {path: pages.website(title=title, text=text) for path, (title, text) in _PAGES.items()}
    missing = pages.website(title="Not found", text="There is no such page.")
    with served(HOST, shown, missing=missing) as url:
        yield url
