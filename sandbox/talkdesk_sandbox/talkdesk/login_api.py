"""Signing in to Talkdesk and out of it, in a browser: the pages ``/login`` and ``/logout`` of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox.talkdesk.answers import TALKDESK, about, account_at
from talkdesk_sandbox.talkdesk.pages import page, problem
from talkdesk_sandbox.talkdesk.sign_ins import COOKIE

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import User

routes = web.RouteTableDef()
_SHOWN_USERS = 50


@routes.get("/login", allow_head=False)
async def login(request: web.Request) -> web.Response:
    """The account's users, one button each; ``find`` narrows them, ``return_to`` is where it then goes on.

    Who is signed in already and is not on the way to anywhere is told so, unless ``change`` is there.
    """
    talkdesk, account = request.app[TALKDESK], account_at(request)
    session = talkdesk.sign_ins.of(request, account_id=account.id)
    signed_in = talkdesk.user(session.user_id) if session else None
    return_to = _here(request.query.get("return_to"))
    if signed_in and not (return_to or {"change", "find"} & set(request.query)):
        return page("signed-in", account=account.name, user=signed_in)
    find = request.query.get("find", "").strip()
    users = [user for user in talkdesk.users_of(account.id) if user.active and _fits(user, find.casefold())]
    return page(
        "login",
        account=account.name,
        users=users[:_SHOWN_USERS],
        total=len(users),
        find=find,
        return_to=return_to,
        signed_in=signed_in,
    )


@routes.post("/login")
async def sign_in(request: web.Request) -> web.Response:
    """Sign in as ``user`` and go on to ``return_to``, a path of this host."""
    talkdesk, account = request.app[TALKDESK], account_at(request)
    if not _own_page(request):
        return problem(403, "Another site's page tried to sign you in.", error="access_denied")
    form = await request.post()
    user = talkdesk.users.get(str(form.get("user", "")))
    if user is None or user.account_id != account.id or not user.active:
        return problem(400, f"That is no active user of the account {account.name}.", error="access_denied")
    about(request).detail["user_id"] = user.id
    talkdesk.sign_ins.end(request)
    response = _to(_here(str(form.get("return_to", ""))) or "/login")
    cookie = talkdesk.sign_ins.begin(account_id=account.id, user_id=user.id)
    response.set_cookie(COOKIE, cookie, path="/", httponly=True, samesite="Lax")
    return response


@routes.get("/logout", allow_head=False)
async def logout(request: web.Request) -> web.Response:
    """Sign out of Talkdesk; the apps that the user is licensed for hear of it, where switched so."""
    talkdesk, account = request.app[TALKDESK], account_at(request)
    session = talkdesk.sign_ins.of(request, account_id=account.id)
    talkdesk.sign_ins.end(request)
    if session is not None:
        about(request).detail["user_id"] = session.user_id
        talkdesk.signed_out(session.user_id)
    return_to = _here(request.query.get("return_to"))
    response = _to(return_to) if return_to else page("signed-out", account=account.name)
    response.del_cookie(COOKIE, path="/")
    return response


def _own_page(request: web.Request) -> bool:
    """Whether the form was on a page of this host or of the console. Programs name no origin."""
    port = request.host.partition(":")[2]
    own = {f"http://{request.host}", f"https://{request.host}", f"http://console.localhost:{port}"}
    return request.headers.get("Origin") in {None, *own}


def _fits(user: User, find: str) -> bool:
    return find in user.name.casefold() or find in user.email.casefold()


def _here(path: str | None) -> str:
    """``path`` if it leads to a page of this host, else nothing."""
    plain = path is not None and path.startswith("/") and path.isprintable()
    return path if path and plain and path[1:2] not in ("/", "\\") else ""


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
