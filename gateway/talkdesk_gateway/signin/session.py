"""``GET /_td/session`` at the tenant: who is signed in, as JSON, for the app's and the bar's scripts.

Asking does not count as use: a page left open would keep its session for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from talkdesk_gateway import sessions
from talkdesk_gateway.pages import STRICT
from talkdesk_gateway.signin.edge import PARTS, moment_of, only_host, our_cookies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_gateway.signin.step import Moment
    from talkdesk_gateway.tenancy import Tenancy


def session(tenancy: Tenancy | None, cookies: Mapping[str, str], moment: Moment) -> dict[str, Any] | None:
    """``{"user": {id, name, email, role}, "ends": seconds}``; None where nobody is signed in. Pure.

    ``ends`` is when the session is over, however much it is used.
    """
    if tenancy is None or not tenancy.allowed:
        return None
    found = sessions.read(cookies, host=tenancy.host, keys=moment.keys, now=moment.now)
    user = sessions.entry(found, tenancy, moment.now) if found is not None else None
    if found is None or user is None:
        return None
    return {
        "user": {"id": found.user, "name": user.name, "email": user.email, "role": user.role},
        "ends": sessions.seconds_left(found, tenancy.app.spec.session, moment.now),
    }


async def handle(request: web.Request) -> web.StreamResponse:
    """200 with the session, or 401 with ``x-td-sign-in``."""
    parts, moment = request.app[PARTS], moment_of(request)
    told = session(parts.directory.by_host(only_host(request)), our_cookies(request), moment)
    parts.metrics.step("session", "on" if told is not None else "sign-in")
    if told is None:
        return web.json_response(
            {"error": "sign-in"}, status=401, headers={**STRICT, "x-td-sign-in": "/_td/start"}
        )
    return web.json_response(told, headers=STRICT)
