"""The timeline: every delivery, API call, decision and cluster change, as it happens."""

from __future__ import annotations

from aiohttp import web

from talkdesk_sandbox.console.console import console_of, leads_back, on_the_way
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.console.rows import LANES, rows

routes = web.RouteTableDef()
_SHOWN = 100


@routes.get("/timeline", allow_head=False)
async def timeline(request: web.Request) -> web.Response:
    """The newest rows; ``kind`` and ``installation`` narrow them, ``before`` (a number) leads back."""
    talkdesk = console_of(request).talkdesk
    lane = request.query.get("kind", "")
    installation = request.query.get("installation", "")
    before = request.query.get("before", "")
    entries = talkdesk.ledger.since(0)
    if before.isdecimal():
        entries = entries[: max(0, int(before) - 1)]
    names = {account.id: account.name for account in talkdesk.accounts.values()}
    found = rows(entries, lane=lane, installation=installation, subjects=names, most=_SHOWN + 1)
    return page(
        request,
        "timeline",
        rows=found[:_SHOWN],
        more=found[_SHOWN - 1].seq if len(found) > _SHOWN else None,
        lanes=LANES,
        lane=lane,
        installation=installation,
        installations=[
            (one, names[one.account_id], talkdesk.app(one.app_id).name)
            for one in reversed(talkdesk.installations.values())
        ],
        apps=len(talkdesk.apps),
        known=talkdesk.deliveries.events,
    )


leads_back(routes, "/timeline/resend", "/timeline")


@routes.post("/timeline/resend")
async def resend(request: web.Request) -> web.Response:
    """Deliver an event's bytes again."""
    form = await request.post()
    console_of(request).talkdesk.redeliver(str(form.get("event", "")))
    raise on_the_way(request, "/timeline?kind=delivery")
