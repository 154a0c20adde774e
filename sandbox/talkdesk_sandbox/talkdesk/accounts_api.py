"""The Accounts and Users APIs on each region's gateway; errors in the common shape."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from talkdesk_sandbox.talkdesk.answers import TALKDESK, answer, authorize, host_of, refusal
from talkdesk_sandbox.talkdesk.hosts import api_root
from talkdesk_sandbox.talkdesk.records import (
    account_record,
    paging,
    user_record,
    userinfo_record,
    users_page,
)

routes = web.RouteTableDef()


@routes.get("/account")
async def account(request: web.Request) -> web.Response:
    """The token's account. It tells neither region nor plan nor whether it is a reseller's."""
    grant = authorize(request, scope="account:read")
    found = request.app[TALKDESK].account(grant.account_id)
    return answer(request, account_record(found, root=_root(request)))


@routes.get("/users")
async def users(request: web.Request) -> web.Response:
    """All users of the account, licensed or not, optionally by ``email`` and ``active``."""
    grant = authorize(request, scope="users:read")
    talkdesk = request.app[TALKDESK]
    try:
        page, per_page = paging(request.query, default=talkdesk.switches.page_size)
        active = {None: None, "true": True, "false": False}[request.query.get("active")]
    except (ValueError, KeyError):
        raise refusal(400, "page and per_page are whole numbers, active is true or false") from None
    email = request.query.get("email")
    chosen = [
        user
        for user in talkdesk.users_of(grant.account_id)
        if (email is None or user.email == email) and (active is None or user.active == active)
    ]
    kept = {key: value for key, value in request.query.items() if key in {"email", "active"}}
    root = _root(request)
    record = partial(user_record, root=root)
    return answer(
        request, users_page(chosen, record, page=page, per_page=per_page, url=f"{root}/users", query=kept)
    )


@routes.get("/users/me")
async def userinfo(request: web.Request) -> web.Response:
    """Who the token speaks for. A client's token speaks for nobody: 400."""
    grant, talkdesk = authorize(request, scope="openid"), request.app[TALKDESK]
    if grant.user_id is None:
        raise refusal(400, "the token has no user")
    found = talkdesk.user(grant.user_id)
    if not found.active:
        raise refusal(401, "the token's user is not active any more")
    return answer(request, userinfo_record(found, root=_root(request), switches=talkdesk.switches))


@routes.get("/users/{user_id}")
async def user(request: web.Request) -> web.Response:
    """One user of the token's account."""
    grant = authorize(request, scope="users:read")
    found = request.app[TALKDESK].users.get(request.match_info["user_id"])
    if found is None or found.account_id != grant.account_id:
        raise refusal(404, "no such user")
    return answer(request, user_record(found, root=_root(request)))


def _root(request: web.Request) -> str:
    return api_root(host_of(request).region)
