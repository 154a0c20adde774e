"""My Apps: the launcher icons of who is signed in, and the gears of what the account has installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from talkdesk_sandbox.console.console import console_of
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.console.session import account_here, user_here
from talkdesk_sandbox.talkdesk.launches import launch_url

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Account, App, Installation, User
    from talkdesk_sandbox.talkdesk.platform import Talkdesk

routes = web.RouteTableDef()
Place = Literal["mine", "others", "gone"]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """An app in the account. ``launch`` is where its icon leads; None: the user has none.

    ``place``: licensed to the user, to others only, or not installed any more.
    """

    app: App
    installation: Installation
    launch: str | None
    place: Place


def tiles(talkdesk: Talkdesk, account: Account, user: User) -> list[Tile]:
    """The newest installation of each app, as ``user`` sees it."""
    newest = {one.app_id: one for one in talkdesk.installations.values() if one.account_id == account.id}
    return [_tile(talkdesk, one, user) for one in newest.values()]


def _tile(talkdesk: Talkdesk, installation: Installation, user: User) -> Tile:
    licensed = user.id in installation.users
    usable = licensed and installation.live and installation.state != "installing"
    place: Place = "gone" if not installation.live else "mine" if licensed else "others"
    url = launch_url(talkdesk, installation_id=installation.id, user_id=user.id) if usable else None
    return Tile(app=talkdesk.app(installation.app_id), installation=installation, launch=url, place=place)


@routes.get("/apps", allow_head=False)
async def my_apps(request: web.Request) -> web.Response:
    """Tiles; whoever is not signed in is told so."""
    console, account = console_of(request), account_here(request)
    user = user_here(request, account)
    shown = tiles(console.talkdesk, account, user) if user else []
    return page(request, "my-apps", account=account, user=user, tiles=shown)
