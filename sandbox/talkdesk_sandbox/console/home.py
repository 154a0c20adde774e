"""The console's front page: the accounts of every region and their users, one click from being signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox.console.console import console_of, leads_back, on_the_way
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.talkdesk import control_bodies as bodies
from talkdesk_sandbox.talkdesk.hosts import REGIONS
from talkdesk_sandbox.talkdesk.platform import UnknownError
from talkdesk_sandbox.talkdesk.population import add_account, add_user

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import App
    from talkdesk_sandbox.talkdesk.platform import Talkdesk

routes = web.RouteTableDef()
#: Who is not shown is found on the account's own sign-in page.
_SHOWN_USERS = 6
REGION_NAMES = {"us": "United States", "eu": "Europe", "ca": "Canada"}


@routes.get("/", allow_head=False)
async def accounts(request: web.Request) -> web.Response:
    """Accounts with their users and what they have installed."""
    talkdesk = console_of(request).talkdesk
    cards = [
        {
            "account": account,
            "users": (users := talkdesk.users_of(account.id))[:_SHOWN_USERS],
            "number": len(users),
            "installations": [one for one in talkdesk.installations.values() if one.account_id == account.id],
        }
        for account in talkdesk.accounts.values()
    ]
    return page(
        request,
        "home",
        cards=cards,
        apps=list(talkdesk.apps.values()),
        regions=REGIONS,
        region_names=REGION_NAMES,
    )


leads_back(routes, "/accounts", "/")
leads_back(routes, "/accounts/{account}/users", "/")


@routes.post("/accounts")
async def new_account(request: web.Request) -> web.Response:
    """A new account without users."""
    form = await request.post()
    body = {name: form[name] for name in ("name", "region") if name in form}
    body_read = bodies.NewAccount.model_validate({**body, "reseller": "reseller" in form})
    account = add_account(console_of(request).talkdesk, body_read)
    raise on_the_way(request, f"/#account-{account.id}")


@routes.post("/accounts/{account}/users")
async def new_user(request: web.Request) -> web.Response:
    """A new user of an account."""
    form = await request.post()
    body = bodies.NewUser.model_validate(
        {name: str(form.get(name, "")).strip() for name in ("name", "email")}
    )
    account_id = request.match_info["account"]
    add_user(console_of(request).talkdesk, account_id, body)
    raise on_the_way(request, f"/#account-{account_id}")


@routes.get("/install/{version}", allow_head=False)
async def private_install(request: web.Request) -> web.Response:
    """A private-install link: Talkdesk asks in which account."""
    console = console_of(request)
    app = app_of_version(console.talkdesk, request.match_info["version"])
    found = console.talkdesk.accounts.values()
    return page(request, "private-install", app=app, accounts=list(found), region_names=REGION_NAMES)


def app_of_version(talkdesk: Talkdesk, version_id: str) -> App:
    """The app whose current version that is. Raises UnknownError, with the reason."""
    for app in talkdesk.apps.values():
        if app.version.id == version_id:
            return app
        if version_id in app.former:
            raise UnknownError(f"this link is of an earlier version of {app.name}: ask for the newest one")
    raise UnknownError("no app has a version of this link")
