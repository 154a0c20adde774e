"""``GET /_td/bar.js`` at the tenant."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_gateway.bar.loader import bar_script
from talkdesk_gateway.pages import STRICT
from talkdesk_gateway.signin.edge import PARTS, moment_of, only_host, our_cookies
from talkdesk_gateway.signin.session import session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_gateway.signin.step import Moment
    from talkdesk_gateway.tenancy import Tenancy


def script_for(tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment) -> str:
    """The loader for whoever is signed in; without session it names nobody and nothing. Pure."""
    told = session(tenancy, cookies, moment)
    return bar_script(tenancy, told["user"]["id"] if told is not None else None)


async def handle(request: web.Request) -> web.StreamResponse:
    """The script. 304 where the browser has it; 404 for a host that is no tenant.

    It names the user, so no other origin may load it (``Cross-Origin-Resource-Policy``), siblings included.
    """
    tenancy = request.app[PARTS].directory.by_host(only_host(request))
    if tenancy is None:
        raise web.HTTPNotFound
    script = script_for(tenancy, our_cookies(request), moment_of(request)).encode()
    etag = hashlib.sha256(script).hexdigest()[:32]
    headers = {**STRICT, "Cache-Control": "private, no-cache", "ETag": f'"{etag}"', "Vary": "Cookie"}
    if any(known.value == etag for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=script, content_type="text/javascript", charset="utf-8", headers=headers)
