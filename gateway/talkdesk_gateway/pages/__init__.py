"""The gateway's pages: values that say what is told, and one template that shows it.

``render`` is pure; ``document_headers`` is the policy that goes with it. A page loads nothing from anywhere:
its style and its few lines of script carry a nonce.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from talkdesk_gateway.pages.page import Action, Help, Page, Wait, new_reference
from talkdesk_gateway.pages.refusals import refusal_page

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = [
    "Action",
    "Help",
    "Page",
    "Wait",
    "document",
    "document_headers",
    "new_reference",
    "refusal_page",
    "render",
]


def document(page: Page) -> tuple[int, dict[str, str], str]:
    """Status, headers (``Content-Type`` too) and HTML of ``page``, under a fresh nonce."""
    nonce = secrets.token_urlsafe(18)
    return page.status, document_headers(page, nonce=nonce), render(page, nonce=nonce)


def render(page: Page, *, nonce: str) -> str:
    """``page`` as HTML whose style and script carry ``nonce``. Pure."""
    return _template().render(page=page, nonce=nonce, mail=_mail(page))


def document_headers(page: Page, *, nonce: str) -> dict[str, str]:
    """The headers to send ``page`` with: not kept anywhere, in no frame, nothing loaded or told. Pure."""
    asks = "; connect-src 'self'" if page.wait else ""
    script = f"; script-src 'nonce-{nonce}'" if page.wait else ""
    form = "'self'" if page.form else "'none'"
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{nonce}'{script}{asks}; img-src data:; "
            f"base-uri 'none'; form-action {form}; frame-ancestors 'none'"
        ),
        "X-Frame-Options": "DENY",
        **STRICT,
    }
    # A form's Origin is "null" under no-referrer, and then it is nobody's.
    headers["Referrer-Policy"] = "same-origin" if page.form else "no-referrer"
    if page.status == 503:
        headers["Retry-After"] = "5"
    return headers


#: On every answer of the gateway's own, page or not.
STRICT = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _mail(page: Page) -> str | None:
    """``mailto:`` with the reference in the subject."""
    if not page.help.contact:
        return None
    subject = f"{page.title} ({page.reference})" if page.reference else page.title
    return f"mailto:{quote(page.help.contact, safe='@')}?subject={quote(subject)}"


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("talkdesk_gateway.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
