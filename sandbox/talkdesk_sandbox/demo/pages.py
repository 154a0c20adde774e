"""The pages: Jinja templates with everything escaped, one stylesheet, nothing from elsewhere."""

from __future__ import annotations

import secrets
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.demo.sample import day_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from talkdesk_sandbox.demo.account import Account
    from talkdesk_sandbox.demo.user import User

#: The app's own policy; the gateway adds what the Talkdesk bar needs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - a pod that nobody visits does not pay for it

    return Environment(
        loader=PackageLoader("talkdesk_sandbox.demo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def _render(name: str, **values: Any) -> str:
    return _templates().get_template(name).render(**values)


def home(account: Account, user: User | None, *, tour: bool) -> str:
    """The dashboard; ``tour`` opens the tour on it."""
    return _render("home.html", account=account, user=user, here="/", day=day_of(account.id), tour=tour)


def calls(account: Account, user: User | None) -> str:
    """The list of single calls."""
    return _render("calls.html", account=account, user=user, here="/calls", day=day_of(account.id))


def told(account: Account, *, title: str, text: str) -> str:
    """A page that only says something, to nobody in particular."""
    return _render("closed.html", account=account, user=None, here="", title=title, text=text)


def strict() -> tuple[str, str]:
    """A page whose policy allows one inline script by its nonce, and that policy."""
    nonce = secrets.token_urlsafe(16)
    policy = f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; base-uri 'none'"
    return _render("strict.html", nonce=nonce), policy


def bare() -> str:
    """A page without ``<head>``, ``<body>`` and their kin."""
    return _render("bare.html")


def website(*, title: str, text: str) -> str:
    """A page of the partner's own website."""
    from markupsafe import Markup  # noqa: PLC0415 - as above

    style = Markup(files("talkdesk_sandbox.demo").joinpath("static/style.css").read_text())  # noqa: S704 - ours
    return _render("website.html", title=title, text=text, style=style)
