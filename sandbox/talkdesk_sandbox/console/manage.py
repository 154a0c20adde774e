"""The gear: users, plan, uninstall, and the page on which each request ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox.console.console import console_of, leads_back, on_the_way
from talkdesk_sandbox.console.marketplace import installed
from talkdesk_sandbox.console.outcome import outcome
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.console.session import account_here, installation_here, signed_in
from talkdesk_sandbox.talkdesk import control_bodies as bodies
from talkdesk_sandbox.talkdesk.change import NotPossibleError
from talkdesk_sandbox.talkdesk.launches import launch_url
from talkdesk_sandbox.talkdesk.platform import UnknownError

if TYPE_CHECKING:
    from talkdesk_sandbox.console.outcome import Outcome
    from talkdesk_sandbox.talkdesk.model import Account, App, Installation

routes = web.RouteTableDef()
_PATH = "/apps/{installation}"
_PARTS = ("users", "plan", "uninstall")


@routes.get(_PATH, allow_head=False)
async def gear(request: web.Request) -> web.Response:
    """The dialogue; ``part`` is users, plan or uninstall. What is not installed any more is told as such."""
    account = account_here(request)
    signed_in(request, account)
    return _dialogue(request, account, installation_here(request, account))


leads_back(routes, f"{_PATH}/{{part:users|plan|uninstall}}", f"{_PATH}?part={{part}}")


@routes.post(f"{_PATH}/users")
async def change_users(request: web.Request) -> web.Response:
    """The users that are ticked have the app afterwards, the others have not."""
    account = account_here(request)
    signed_in(request, account)
    installation = installation_here(request, account)
    form = await request.post()
    # Who installed the app keeps it, and a box that cannot be changed is not sent.
    wanted = {installation.created_by, *(str(one) for one in form.getall("users", []))}
    body = bodies.Update(
        adding=[one for one in sorted(wanted) if one not in installation.users],
        removing=[one for one in installation.users if one not in wanted],
    )
    if not body.adding and not body.removing:
        return _dialogue(
            request, account, installation, error="Nothing was changed: tick or untick somebody."
        )
    return _update(request, account, installation, body)


@routes.post(f"{_PATH}/plan")
async def change_plan(request: web.Request) -> web.Response:
    """Another plan."""
    account = account_here(request)
    signed_in(request, account)
    installation = installation_here(request, account)
    plan = str((await request.post()).get("plan", ""))
    if plan == installation.subscription.plan.name:
        return _dialogue(
            request,
            account,
            installation,
            error=f"{plan} is the plan already: choose another one.",
            part="plan",
        )
    return _update(request, account, installation, bodies.Update(plan=plan), part="plan")


def _update(
    request: web.Request,
    account: Account,
    installation: Installation,
    body: bodies.Update,
    part: str = "users",
) -> web.Response:
    try:
        event_id = console_of(request).talkdesk.update(
            installation.id, adding=body.adding, removing=body.removing, plan=body.plan
        )
    except NotPossibleError as contradiction:
        return _dialogue(request, account, installation, error=str(contradiction), part=part)
    raise on_the_way(request, f"/apps/{installation.id}/requests/{event_id}")


@routes.post(f"{_PATH}/uninstall")
async def uninstall(request: web.Request) -> web.Response:
    """Uninstall, with a reason in the customer's words."""
    account = account_here(request)
    signed_in(request, account)
    installation = installation_here(request, account)
    said = str((await request.post()).get("reason", "")).strip() or "not needed any more"
    try:
        event_id = console_of(request).talkdesk.uninstall(
            installation.id, reason={"type": "other", "message": said[:400]}
        )
    except NotPossibleError as contradiction:
        return _dialogue(request, account, installation, error=str(contradiction), part="uninstall")
    raise on_the_way(request, f"/apps/{installation.id}/requests/{event_id}")


@routes.get(f"{_PATH}/requests/{{event}}", allow_head=False)
async def ending(request: web.Request) -> web.Response:
    """Waiting, and then success or failure, as the app's server answers."""
    talkdesk, account = console_of(request).talkdesk, account_here(request)
    user = signed_in(request, account)
    installation = installation_here(request, account)
    found = outcome(installation, request.match_info["event"], talkdesk.ledger.since(0))
    if found is None:
        raise UnknownError(f"installation {installation.id} has no request {request.match_info['event']!r}")
    app = talkdesk.app(installation.app_id)
    usable = found.state == "succeeded" and installation.live and user.id in installation.users
    return page(
        request,
        "outcome",
        account=account,
        user=user,
        app=app,
        installation=installation,
        outcome=found,
        again=_again(found, installation, app, newer=installed(talkdesk, app_id=app.id, account=account)),
        launch=launch_url(talkdesk, installation_id=installation.id, user_id=user.id) if usable else None,
    )


def _again(found: Outcome, installation: Installation, app: App, *, newer: Installation | None) -> str | None:
    """Where a request that came to nothing can be made once more; None where there is nothing to repeat."""
    if found.state not in ("failed", "expired"):
        return None
    if found.request == "install":
        return None if newer else f"/marketplace/install/{app.version.id}"
    part = "?part=uninstall" if found.request == "uninstall" else ""
    return f"{_PATH.format(installation=installation.id)}{part}" if installation.live else None


def _dialogue(
    request: web.Request,
    account: Account,
    installation: Installation,
    *,
    error: str | None = None,
    part: str | None = None,
) -> web.Response:
    talkdesk = console_of(request).talkdesk
    chosen = part or request.query.get("part", "users")
    return page(
        request,
        "manage",
        status=409 if error else 200,
        account=account,
        user=signed_in(request, account),
        app=talkdesk.app(installation.app_id),
        installation=installation,
        newer=None if installation.live else installed(talkdesk, app_id=installation.app_id, account=account),
        users=talkdesk.users_of(account.id),
        creator=talkdesk.user(installation.created_by),
        part=chosen if chosen in _PARTS else "users",
        error=error,
    )
