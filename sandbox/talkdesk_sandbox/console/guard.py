"""What every request to the console goes through: its host, its origin, errors as pages, headers.

The console acts for whoever asks. So it answers under its own names alone (a rebound DNS name is none of
them), and changes something only for its own pages: browsers say by ``Origin`` which page a POST comes from.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import ValidationError

from talkdesk_sandbox.console import (
    controls,
    home,
    install,
    kubernetes,
    live,
    mailbox,
    manage,
    marketplace,
    my_apps,
    timeline,
)
from talkdesk_sandbox.console.console import NAME, console_of
from talkdesk_sandbox.console.render import POLICY, problem
from talkdesk_sandbox.console.told import told
from talkdesk_sandbox.talkdesk.change import NotPossibleError
from talkdesk_sandbox.talkdesk.hosts import host
from talkdesk_sandbox.talkdesk.platform import UnknownError

if TYPE_CHECKING:
    from talkdesk_sandbox.console.console import Console

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Pages of ``console.localhost``, and pages of accounts.
OWN = (home, timeline, kubernetes, mailbox, controls, live)
OF_ACCOUNTS = (my_apps, marketplace, install, manage, live)
_OWN_HANDLERS = frozenset(route.handler for module in OWN for route in module.routes)
_ACCOUNT_HANDLERS = frozenset(route.handler for module in OF_ACCOUNTS for route in module.routes)
_SHORT_NAMES = frozenset({"127.0.0.1", "localhost"})


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve the console's requests, and let all others pass."""
    console, found = console_of(request), request.match_info.handler
    name, _, port = request.host.lower().partition(":")
    if port != str(console.talkdesk.browser_port):
        return await handler(request)
    if name in _SHORT_NAMES and request.path == "/":
        raise web.HTTPFound(f"{console.root}/")
    if name == NAME:
        return await _serve(request, console, found if found in _OWN_HANDLERS else None)
    if found in _ACCOUNT_HANDLERS and (place := host(name)) is not None and place.account is not None:
        return await _serve(request, console, found)
    return await handler(request)


async def _no_such_page(_: web.Request) -> web.StreamResponse:
    raise UnknownError("there is no such page")


def _check_origin(request: web.Request) -> None:
    if request.method == "POST" and request.headers.get("Origin") != f"http://{request.host}":
        raise web.HTTPForbidden(reason="forms of other pages do nothing here: open the console and try again")


def _sentence(problem: Exception) -> str:
    """What is said of it, as a sentence begins."""
    said = str(problem)
    return said[:1].upper() + said[1:]


async def _filled_in(request: web.Request) -> dict[str, list[str]]:
    """What a form says, field by field."""
    sent: dict[str, list[str]] = {}
    if request.method == "POST":
        for name, value in (await request.post()).items():
            if isinstance(value, str):
                sent.setdefault(name, []).append(value)
    return sent


def _plain(sent: dict[str, list[str]]) -> dict[str, Any]:
    """A field that was sent once is its value."""
    return {name: values[0] if len(values) == 1 else values for name, values in sent.items()}


def _about(request: web.Request, console: Console, sent: Mapping[str, list[str]]) -> dict[str, str]:
    """The account and the installation that a form is about, where there are such."""
    place = host(request.host.partition(":")[0])
    account = console.talkdesk.account_named(place) if place else None
    named = request.match_info.get("installation") or next(iter(sent.get("installation", [])), "")
    installation = console.talkdesk.installations.get(named)
    if installation is not None:
        return {"account_id": installation.account_id, "installation_id": installation.id}
    return {"account_id": account.id} if account else {}


async def _serve(request: web.Request, console: Console, handler: Handler | None) -> web.StreamResponse:
    began = time.monotonic()
    response: web.StreamResponse
    sent: dict[str, list[str]] = {}
    try:
        if handler is None:
            handler = _no_such_page
        _check_origin(request)
        sent = await _filled_in(request)
        # Not by way of the other middlewares: they serve Talkdesk, and would write each look into its ledger.
        response = await handler(request)
    except web.HTTPSeeOther as onwards:
        response = web.Response(status=303, headers={"Location": onwards.headers["Location"]})
    except UnknownError as unknown:
        response = problem(request, status=404, title="Not found", what=_sentence(unknown))
    except NotPossibleError as contradiction:
        response = problem(
            request, status=409, title="That cannot be done now", what=_sentence(contradiction)
        )
    except ValidationError as wrong:
        response = problem(request, status=400, title="That was not understood", what=told(wrong))
    except web.HTTPException as failed:
        response = problem(request, status=failed.status, title="Refused", what=failed.reason)
    if not response.prepared:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        # Not same-origin: the sign-in buttons of the accounts' page lead to another host, and a form's
        # Origin is null where the policy keeps the referrer from the target.
        response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
    if request.method == "POST":
        console.talkdesk.ledger.add(
            "control",
            method="POST",
            url=str(request.url),
            status=response.status,
            seconds=time.monotonic() - began,
            detail={"sent": _plain(sent)} if sent else None,
            **_about(request, console, sent),
        )
    return response
