"""What a page's Content Security Policy must allow for the bar to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkdesk_crds.app import Bar

#: Where the loader is, and where it asks who is signed in after a sign-in in another window.
SCRIPT_PATH = "/_td/bar.js"
SESSION_PATH = "/_td/session"


def csp_sources(bar: Bar, origin: str) -> str:
    """The value of ``x-td-bar-csp``: directives with their sources, in the policy's own grammar.

    ``origin`` is ``<scheme>://<tenant host>[:port]``, as browsers see it. Our own two addresses are named
    whole: ``'self'`` would allow a page more than it needs.
    """
    needs = {
        "script-src": [origin + SCRIPT_PATH, _address(str(bar.script))],
        "connect-src": [origin + SESSION_PATH],
    }
    for directive, sources in sorted(bar.csp.items()):
        needs.setdefault(directive, []).extend(sources)
    return "; ".join(f"{directive} {' '.join(dict.fromkeys(needs[directive]))}" for directive in needs)


def _address(url: str) -> str:
    """A source has no query or fragment, and ``;`` and ``,`` would end it."""
    return url.partition("#")[0].partition("?")[0].replace(";", "%3B").replace(",", "%2C")
