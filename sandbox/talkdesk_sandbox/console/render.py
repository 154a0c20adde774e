"""Pages: Jinja templates with everything escaped, one stylesheet, one script, nothing from elsewhere."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from talkdesk_sandbox.console import times
from talkdesk_sandbox.console.console import console_of
from talkdesk_sandbox.console.hiding import hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Forms lead to the accounts' hosts, too: the sign-in buttons.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; form-action 'self' http://*.talkdesk.localhost:*; base-uri 'none'; "
    "frame-ancestors 'none'"
)
NAVIGATION = (
    ("/", "Accounts"),
    ("/timeline", "Timeline"),
    ("/kubernetes", "Kubernetes"),
    ("/mailbox", "Mailbox"),
    ("/controls", "Controls"),
)
_ASSETS = {"console.css": "text/css", "console.js": "text/javascript"}


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("talkdesk_sandbox.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clock": times.clock,
        "millis": times.millis,
        "when": times.when,
        "took": times.took,
        "pretty": _pretty,
        "hidden": hidden,
    }
    return made


def page(request: web.Request, name: str, *, status: int = 200, **values: Any) -> web.Response:
    """The page ``name`` with ``values``, and what the frame of every page needs."""
    console = console_of(request)
    frame: Mapping[str, Any] = {
        "console": console,
        "now": console.talkdesk.clock.now(),
        "navigation": NAVIGATION,
        "here": request.path,
        "account": None,
        "user": None,
    }
    text = _templates().get_template(f"{name}.html").render({**frame, **values})
    return web.Response(text=text, status=status, content_type="text/html")


def problem(request: web.Request, *, status: int, title: str, what: str) -> web.Response:
    """A page that says what cannot be done, and leads back."""
    return page(request, "problem", status=status, title=title, what=what)


@cache
def asset(name: str) -> tuple[str, str]:
    """Text and type of the stylesheet or the script. Raises KeyError for anything else."""
    kind = _ASSETS[name]
    return files("talkdesk_sandbox.console").joinpath("static", name).read_text(), kind
