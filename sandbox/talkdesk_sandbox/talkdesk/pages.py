"""The pages that people see on an identity host: sign-in, sign-out, and what went wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

_PAGES = Environment(
    loader=PackageLoader("talkdesk_sandbox.talkdesk", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
#: No form-action: Chromium holds it against the redirects that follow, and they lead to the app.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def page(name: str, *, status: int = 200, **values: Any) -> web.Response:
    """The page ``name`` with ``values``, never cached and never framed."""
    text = _PAGES.get_template(f"{name}.html").render(values)
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)


def problem(status: int, what: str, *, error: str) -> web.Response:
    """A page for a request that leads nowhere; ``error`` is OAuth's word for it."""
    return page("problem", status=status, phrase=HTTPStatus(status).phrase, what=what, error=error)
