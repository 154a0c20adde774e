"""The installations as Kubernetes sees them."""

from __future__ import annotations

from aiohttp import web

from talkdesk_sandbox.console.console import console_of
from talkdesk_sandbox.console.render import page

routes = web.RouteTableDef()


@routes.get("/kubernetes", allow_head=False)
async def kubernetes(request: web.Request) -> web.Response:
    """TalkdeskInstallations, their tenants, and recent Events."""
    return page(request, "kubernetes", cluster=console_of(request).snapshot())
