"""The install dialogue: plan, users, and then what the app answered (:mod:`manage` has that page)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox.console.console import console_of, on_the_way
from talkdesk_sandbox.console.home import app_of_version
from talkdesk_sandbox.console.marketplace import installed
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.console.session import account_here, signed_in
from talkdesk_sandbox.talkdesk import control_bodies as bodies
from talkdesk_sandbox.talkdesk.change import NotPossibleError

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Account, App, User

routes = web.RouteTableDef()
_PATH = "/marketplace/install/{version}"


@routes.get(_PATH, allow_head=False)
async def choose_plan(request: web.Request) -> web.Response:
    """Step 1; where the app is installed already, that is said instead."""
    account = account_here(request)
    user = signed_in(request, account)
    talkdesk = console_of(request).talkdesk
    app = app_of_version(talkdesk, request.match_info["version"])
    there = installed(talkdesk, app_id=app.id, account=account)
    chosen = request.query.get("plan", app.plans[0].name if app.plans else "")
    return page(
        request,
        "install-plan",
        account=account,
        user=user,
        app=app,
        installation=there,
        chosen=chosen,
        error=None,
    )


@routes.get(f"{_PATH}/users", allow_head=False)
async def choose_users(request: web.Request) -> web.Response:
    """Step 2; who installs is among the users."""
    account = account_here(request)
    user = signed_in(request, account)
    app = app_of_version(console_of(request).talkdesk, request.match_info["version"])
    return _users(request, account, user, app, plan=request.query.get("plan", ""), chosen=[user.id])


@routes.post(_PATH)
async def install(request: web.Request) -> web.Response:
    """Install, and wait for the answer on the last page."""
    account = account_here(request)
    user = signed_in(request, account)
    talkdesk = console_of(request).talkdesk
    app = app_of_version(talkdesk, request.match_info["version"])
    form = await request.post()
    chosen = list(dict.fromkeys([user.id, *(str(one) for one in form.getall("users", []))]))
    body = bodies.Install.model_validate(
        {
            "app_id": app.id,
            "account_id": account.id,
            "plan": str(form.get("plan", "")),
            "users": chosen,
            "created_by": user.id,
        }
    )
    try:
        installation_id, event_id = talkdesk.install(
            app_id=body.app_id,
            account_id=body.account_id,
            plan=body.plan,
            users=body.users,
            created_by=body.created_by,
        )
    except NotPossibleError as contradiction:
        return _users(
            request, account, user, app, plan=body.plan or "", chosen=chosen, error=str(contradiction)
        )
    raise on_the_way(request, f"/apps/{installation_id}/requests/{event_id}")


def _users(
    request: web.Request,
    account: Account,
    user: User,
    app: App,
    *,
    plan: str,
    chosen: list[str],
    error: str | None = None,
) -> web.Response:
    users = [one for one in console_of(request).talkdesk.users_of(account.id) if one.active]
    return page(
        request,
        "install-users",
        status=409 if error else 200,
        account=account,
        user=user,
        app=app,
        plan=app.plan(plan),
        users=users,
        chosen=chosen,
        error=error,
    )
