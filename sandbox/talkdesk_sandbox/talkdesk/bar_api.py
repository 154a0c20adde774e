"""``GET /bar.js``: a stand-in for the Talkdesk bar, whose real script partners get privately."""

from __future__ import annotations

from importlib.resources import files

from aiohttp import web

routes = web.RouteTableDef()
_SCRIPT = files("talkdesk_sandbox.talkdesk").joinpath("pages", "bar.js").read_text()


@routes.get("/bar.js")
async def bar(_: web.Request) -> web.Response:
    """The script; every app's pages may load it."""
    headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
    return web.Response(text=_SCRIPT, content_type="text/javascript", headers=headers)
