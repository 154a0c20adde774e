"""The pages and steps below ``/_td/`` as one aiohttp application, for ``TALKDESK_PORT``."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from talkdesk_gateway.pages import STRICT
from talkdesk_gateway.seal import NoKeysError
from talkdesk_gateway.signin import callback, enter, launch, session, sign_out, start
from talkdesk_gateway.signin.edge import PARTS, carry_out, moment_of
from talkdesk_gateway.signin.step import refuse
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from talkdesk_gateway.signin.edge import Parts

#: A form has nothing in it.
_MAX_BODY: Final = 4096

_log = structlog.get_logger("talkdesk_gateway.web")


def sign_in_app(parts: Parts, *, more: Iterable[web.AbstractRouteDef] = ()) -> web.Application:
    """The application. ``more`` are further routes below ``/_td/``, e.g. the bar's script."""
    app = web.Application(middlewares=[_guarded], client_max_size=_MAX_BODY)
    app[PARTS] = parts
    app.add_routes(
        [
            web.get("/_td/launch", launch.handle),
            web.get("/_td/start", start.handle),
            web.get("/_td/callback", callback.handle),
            web.get("/_td/enter", enter.handle),
            web.get("/_td/sign-out", sign_out.show),
            web.post("/_td/sign-out", sign_out.sign_out),
            web.get("/_td/session", session.handle),
            *more,
        ]
    )
    return app


@web.middleware
async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every answer is one of ours: also where nothing is known, nothing is found, or something breaks."""
    parts, step = request.app[PARTS], _step(request)
    moment = moment_of(request)
    if step != "other" and not (parts.directory.fresh and moment.keys):
        detail = (
            "no session keys" if parts.directory.fresh else "nothing was heard from Kubernetes for too long"
        )
        return carry_out(request, step, refuse(Refusal.UNAVAILABLE, moment, detail=detail), moment)
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return carry_out(request, step, refuse(Refusal.UNKNOWN_HOST, moment, detail="no such path"), moment)
    except web.HTTPException as known:
        return web.Response(status=known.status, text=known.reason, headers=_allowed(known))
    except NoKeysError as missing:
        return carry_out(request, step, refuse(Refusal.UNAVAILABLE, moment, detail=str(missing)), moment)
    except Exception as fault:  # noqa: BLE001 -- whatever breaks here, the reader gets a page
        where = traceback.extract_tb(fault.__traceback__)[-1]
        # The exception's text may quote what came, so only its type and place are told.
        _log.error(
            "fault",
            error=type(fault).__name__,
            at=f"{where.filename}:{where.lineno}",
            reference=moment.reference,
        )
        return carry_out(request, step, refuse(Refusal.UNAVAILABLE, moment, detail="fault"), moment)


def _step(request: web.Request) -> str:
    name = request.path.removeprefix("/_td/")
    return name if name in {"launch", "start", "callback", "enter", "sign-out", "session"} else "other"


def _allowed(known: web.HTTPException) -> dict[str, str]:
    allow = known.headers.get("Allow")
    return {**STRICT, "Allow": allow} if allow else dict(STRICT)
