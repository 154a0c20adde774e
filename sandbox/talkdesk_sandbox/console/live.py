"""Live updates: the stylesheet and script, and a stream of server-sent events that says "look again".

A page asks for itself anew when it hears one, and puts in place what became different: there is one way of
rendering, and without a script the page is the same after a reload.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from talkdesk_sandbox.console.console import console_of
from talkdesk_sandbox.console.render import asset
from talkdesk_sandbox.talkdesk.platform import UnknownError

routes = web.RouteTableDef()
_LOOK_SECONDS = 1.0
#: Changes come in bursts; a page looks again at the most so often.
_PAUSE_SECONDS = 0.25
_QUIET_LOOKS = 15


@routes.get("/_console/{name}", allow_head=False)
async def assets(request: web.Request) -> web.Response:
    """The stylesheet and the script."""
    try:
        text, kind = asset(request.match_info["name"])
    except KeyError:
        raise UnknownError("there is no such file") from None
    return web.Response(text=text, content_type=kind, headers={"Cache-Control": "no-cache"})


@routes.get("/_live", allow_head=False)
async def stream(request: web.Request) -> web.StreamResponse:
    """One event ``change`` (data: the ledger's last number) whenever something happened."""
    console = console_of(request)
    ledger = console.talkdesk.ledger
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    seen, mails, quiet = ledger.last, len(console.mailbox.messages()), 0
    try:
        await response.write(b": the ledger is at %d\nretry: 1000\n\n" % seen)
        while request.transport is not None and not request.transport.is_closing():
            await ledger.wait(seen, seconds=_LOOK_SECONDS)
            number = len(console.mailbox.messages())
            if (ledger.last, number) != (seen, mails):
                seen, mails, quiet = ledger.last, number, 0
                await response.write(b"event: change\ndata: %d\n\n" % seen)
                await asyncio.sleep(_PAUSE_SECONDS)
            elif (quiet := quiet + 1) >= _QUIET_LOOKS:
                quiet = 0
                await response.write(b": still here\n\n")
    except ConnectionError:
        pass
    return response
