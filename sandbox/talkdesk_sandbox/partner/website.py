"""Pages that stand in for the partner's own website, which nobody reaches from the sandbox."""

from __future__ import annotations

import contextlib
import html
from typing import TYPE_CHECKING

from talkdesk_sandbox.website import served

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "www.partner.localhost"
TITLES = {"terms": "Terms of service", "support": "Support", "upgrade": "Upgrade"}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }}
</style>
<main><h1>{title}</h1><p>{text}</p></main>
</html>
"""
_TEXT = (
    "In the sandbox this page stands in for the one that your TalkdeskApp names under spec.links.{which}: "
    "nothing here reaches the internet. Your customers will read your own."
)


@contextlib.contextmanager
def stand_in_website() -> Iterator[str]:
    """Its base URL, while the block runs."""
    texts = {which: _page(title, _TEXT.format(which=which)) for which, title in TITLES.items()}
    shown = {path: text for which, text in texts.items() for path in (f"/{which}", f"/{which}/")}
    with served(HOST, shown, missing=_page("Not found", "There is no such page.")) as url:
        yield url


def _page(title: str, text: str) -> str:
    return _PAGE.format(title=html.escape(title), text=html.escape(text))
