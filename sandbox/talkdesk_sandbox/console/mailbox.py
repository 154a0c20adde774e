"""The mailbox: every mail that the product sent to the customers' people."""

from __future__ import annotations

from aiohttp import web

from talkdesk_sandbox.console.console import console_of
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.talkdesk.platform import UnknownError

routes = web.RouteTableDef()
#: A mail may look as it likes, and do nothing.
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors {root}"
)


@routes.get("/mailbox", allow_head=False)
async def mails(request: web.Request) -> web.Response:
    """The list, newest first, and the mail that ``id`` names, or the newest."""
    found = list(reversed(console_of(request).mailbox.messages()))
    wanted = request.query.get("id")
    opened = next((one for one in found if one.id == wanted), found[0] if found and not wanted else None)
    if wanted and opened is None:
        raise UnknownError(f"there is no mail {wanted!r}")
    return page(request, "mailbox", mails=found, opened=opened, form=request.query.get("form", "html"))


@routes.get("/mailbox/{id}/html", allow_head=False)
async def html(request: web.Request) -> web.Response:
    """A mail's HTML, for a frame: no scripts, nothing from elsewhere, links in new tabs."""
    console = console_of(request)
    mail = next((one for one in console.mailbox.messages() if one.id == request.match_info["id"]), None)
    if mail is None or mail.html is None:
        raise UnknownError("there is no such mail")
    policy = _MAIL_POLICY.format(root=console.root)
    return web.Response(
        text=f'<base target="_blank">{mail.html}',
        content_type="text/html",
        headers={"Content-Security-Policy": policy},
    )
