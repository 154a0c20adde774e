"""The marketplace: what can be installed, and an app's own listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox.console.console import console_of
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.console.session import account_here, user_here

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Account, Installation
    from talkdesk_sandbox.talkdesk.platform import Talkdesk

routes = web.RouteTableDef()


def installed(talkdesk: Talkdesk, *, app_id: str, account: Account) -> Installation | None:
    """What stands in the way of installing the app in the account."""
    return next(
        (
            one
            for one in talkdesk.installations.values()
            if one.app_id == app_id and one.account_id == account.id and one.live
        ),
        None,
    )


@routes.get("/marketplace", allow_head=False)
async def listings(request: web.Request) -> web.Response:
    """Every app."""
    talkdesk, account = console_of(request).talkdesk, account_here(request)
    shown = [(app, installed(talkdesk, app_id=app.id, account=account)) for app in talkdesk.apps.values()]
    return page(request, "marketplace", account=account, user=user_here(request, account), listings=shown)


@routes.get("/marketplace/{app}", allow_head=False)
async def listing(request: web.Request) -> web.Response:
    """One app: what it is, what it costs, its terms."""
    talkdesk, account = console_of(request).talkdesk, account_here(request)
    app = talkdesk.app(request.match_info["app"])
    return page(
        request,
        "listing",
        account=account,
        user=user_here(request, account),
        app=app,
        installation=installed(talkdesk, app_id=app.id, account=account),
    )
