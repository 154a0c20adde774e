"""Who looks at an account's pages: the session of its identity host, the same that single sign-on uses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import web

from talkdesk_sandbox.console.console import console_of
from talkdesk_sandbox.talkdesk.hosts import host
from talkdesk_sandbox.talkdesk.platform import UnknownError

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Account, Installation, User


def account_here(request: web.Request) -> Account:
    """The account at whose host the page is. Raises UnknownError."""
    place = host(request.host.partition(":")[0])
    account = console_of(request).talkdesk.account_named(place) if place else None
    if account is None:
        raise UnknownError(f"there is no account at {request.host}")
    return account


def user_here(request: web.Request, account: Account) -> User | None:
    """Who is signed in, if anybody is."""
    talkdesk = console_of(request).talkdesk
    session = talkdesk.sign_ins.of(request, account_id=account.id)
    user = talkdesk.user(session.user_id) if session else None
    return user if user and user.active else None


def signed_in(request: web.Request, account: Account) -> User:
    """Who is signed in; whoever is not is sent to the sign-in page, and comes back."""
    user = user_here(request, account)
    if user is None:
        # What a POST would have done is not done behind the user's back after signing in.
        back = request.path_qs if request.method == "GET" else "/apps"
        raise web.HTTPSeeOther(f"/login?return_to={quote(back, safe='')}")
    return user


def installation_here(request: web.Request, account: Account) -> Installation:
    """The installation that the path names, of this account. Raises UnknownError."""
    installation = console_of(request).talkdesk.installation(request.match_info["installation"])
    if installation.account_id != account.id:
        raise UnknownError(f"the account {account.name} has no installation {installation.id!r}")
    return installation
