"""The control API: what a person, a test or a console does to the stand-in. Only on 127.0.0.1."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from talkdesk_sandbox.talkdesk import control_bodies as bodies
from talkdesk_sandbox.talkdesk.answers import TALKDESK
from talkdesk_sandbox.talkdesk.change import NotPossibleError
from talkdesk_sandbox.talkdesk.control_state import (
    account_state,
    app_state,
    key_state,
    user_state,
    world_state,
)
from talkdesk_sandbox.talkdesk.hosts import millis_time
from talkdesk_sandbox.talkdesk.launches import launch_url
from talkdesk_sandbox.talkdesk.platform import UnknownError
from talkdesk_sandbox.talkdesk.population import (
    add_account,
    add_app,
    add_user,
    change_app,
    change_user,
    rename_account,
)

routes = web.RouteTableDef()
_LONGEST_WAIT = 60.0
_Body = TypeVar("_Body", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def control(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as ``{error}``; everything that changes something is in the ledger."""
    began = time.monotonic()
    response: web.StreamResponse
    try:
        response = await handler(request)
    except UnknownError as unknown:
        response = web.json_response({"error": str(unknown)}, status=404)
    except NotPossibleError as contradiction:
        response = web.json_response({"error": str(contradiction)}, status=409)
    except ValidationError as wrong:
        told = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}" for error in wrong.errors()
        )
        response = web.json_response({"error": told}, status=400)
    except web.HTTPException as failed:
        response = web.json_response({"error": failed.reason}, status=failed.status)
    if request.method != "GET":
        request.app[TALKDESK].ledger.add(
            "control",
            method=request.method,
            url=str(request.url),
            status=response.status,
            seconds=time.monotonic() - began,
        )
    return response


@routes.get("/control/state")
async def state(request: web.Request) -> web.Response:
    """Everything but secrets."""
    return web.json_response(world_state(request.app[TALKDESK]))


@routes.post("/control/apps")
async def create_app(request: web.Request) -> web.Response:
    """A new app with its first version."""
    app = add_app(request.app[TALKDESK], await _read(request, bodies.NewApp))
    return web.json_response(app_state(app), status=201)


@routes.patch("/control/apps/{id}")
async def patch_app(request: web.Request) -> web.Response:
    """Change an app; with ``version`` (a name) it becomes a new version, which later installs get."""
    app = change_app(request.app[TALKDESK], request.match_info["id"], await _read(request, bodies.AppChanges))
    return web.json_response(app_state(app))


@routes.post("/control/accounts")
async def create_account(request: web.Request) -> web.Response:
    """A new account in a region."""
    account = add_account(request.app[TALKDESK], await _read(request, bodies.NewAccount))
    return web.json_response(account_state(account), status=201)


@routes.patch("/control/accounts/{id}")
async def patch_account(request: web.Request) -> web.Response:
    """Rename an account. Its former name leads to it still; Talkdesk sends no event for it."""
    account = rename_account(
        request.app[TALKDESK], request.match_info["id"], await _read(request, bodies.AccountChanges)
    )
    return web.json_response(account_state(account))


@routes.post("/control/accounts/{id}/users")
async def create_user(request: web.Request) -> web.Response:
    """A new user of an account."""
    user = add_user(request.app[TALKDESK], request.match_info["id"], await _read(request, bodies.NewUser))
    return web.json_response(user_state(user), status=201)


@routes.post("/control/accounts/{id}/users/bulk")
async def create_users(request: web.Request) -> web.Response:
    """Many new users of an account at once: all, or none where one is not well formed."""
    account, body = request.match_info["id"], await _read(request, bodies.NewUsers)
    made = [add_user(request.app[TALKDESK], account, user) for user in body.users]
    return web.json_response({"ids": [user.id for user in made]}, status=201)


@routes.patch("/control/users/{id}")
async def patch_user(request: web.Request) -> web.Response:
    """Change a user's e-mail, name, activity or roles. Talkdesk sends no event for it."""
    user = change_user(
        request.app[TALKDESK], request.match_info["id"], await _read(request, bodies.UserChanges)
    )
    return web.json_response(user_state(user))


@routes.post("/control/install")
async def install(request: web.Request) -> web.Response:
    """An admin installs an app."""
    body = await _read(request, bodies.Install)
    installation_id, event_id = request.app[TALKDESK].install(
        app_id=body.app_id,
        account_id=body.account_id,
        plan=body.plan,
        users=body.users,
        created_by=body.created_by,
    )
    return web.json_response({"installation_id": installation_id, "event_id": event_id}, status=201)


@routes.get("/control/launch")
async def launch(request: web.Request) -> web.Response:
    """What the app's icon opens for a user."""
    if missing := {"installation_id", "user_id"} - set(request.query):
        raise web.HTTPBadRequest(reason=f"the query lacks {' and '.join(sorted(missing))}")
    url = launch_url(
        request.app[TALKDESK],
        installation_id=request.query["installation_id"],
        user_id=request.query["user_id"],
    )
    return web.json_response({"url": url})


@routes.post("/control/installations/{id}/update")
async def update(request: web.Request) -> web.Response:
    """An admin changes users or plan."""
    body = await _read(request, bodies.Update)
    event_id = request.app[TALKDESK].update(
        request.match_info["id"], adding=body.adding, removing=body.removing, plan=body.plan
    )
    return web.json_response({"event_id": event_id}, status=202)


@routes.post("/control/installations/{id}/uninstall")
async def uninstall(request: web.Request) -> web.Response:
    """An admin uninstalls."""
    body = await _read(request, bodies.Uninstall)
    reason = {"type": "other", "message": body.reason} if isinstance(body.reason, str) else body.reason
    event_id = request.app[TALKDESK].uninstall(request.match_info["id"], reason=reason)
    return web.json_response({"event_id": event_id}, status=202)


@routes.post("/control/installations/{id}/trial/{action:start|extend|end}")
async def trial(request: web.Request) -> web.Response:
    """Talkdesk's staff start, extend or end a trial."""
    talkdesk, id_ = request.app[TALKDESK], request.match_info["id"]
    if request.match_info["action"] == "end":
        ending = await _read(request, bodies.TrialEnd)
        event_id = talkdesk.trial(id_, "end", reason=ending.reason)
    else:
        until = (await _read(request, bodies.TrialUntil)).expires_at
        expires_at = until.astimezone(UTC) if until else None
        if request.match_info["action"] == "start":
            event_id = talkdesk.trial(id_, "start", expires_at=expires_at)
        else:
            event_id = talkdesk.trial(id_, "extend", expires_at=expires_at)
    return web.json_response({"event_id": event_id}, status=202)


@routes.post("/control/installations/{id}/rotate")
async def rotate(request: web.Request) -> web.Response:
    """Talkdesk rotates an installation's credentials."""
    body = await _read(request, bodies.Rotate)
    event_id = request.app[TALKDESK].rotate(request.match_info["id"], compromise=body.compromise)
    return web.json_response({"event_id": event_id}, status=202)


@routes.post("/control/installations/{id}/logout")
async def logout(request: web.Request) -> web.Response:
    """A user logs out of Talkdesk."""
    body = await _read(request, bodies.Logout)
    event_id = request.app[TALKDESK].logout(request.match_info["id"], user_id=body.user_id)
    return web.json_response({"event_id": event_id}, status=202)


@routes.post("/control/events")
async def send_event(request: web.Request) -> web.Response:
    """Sign and deliver any body."""
    talkdesk = request.app[TALKDESK]
    event = (await _read(request, bodies.AnyEvent)).to_event()
    talkdesk.app(event.app_id)
    if event.key_id is not None and event.key_id not in talkdesk.keyring.keys:
        raise UnknownError(f"no signing key {event.key_id!r}")
    talkdesk.deliveries.send(event)
    return web.json_response({"event_id": event.id}, status=202)


@routes.post("/control/events/{id}/redeliver")
async def redeliver(request: web.Request) -> web.Response:
    """Deliver the same bytes again."""
    talkdesk, id_ = request.app[TALKDESK], request.match_info["id"]
    talkdesk.redeliver(id_)
    return web.json_response({"event_id": id_}, status=202)


@routes.post("/control/signing-keys")
async def create_signing_key(request: web.Request) -> web.Response:
    """A signing key: from now on the current one, or (``current: false``) beside it."""
    talkdesk = request.app[TALKDESK]
    body = await _read(request, bodies.NewSigningKey)
    now, switches = talkdesk.clock.now(), talkdesk.switches
    if body.current:
        key = talkdesk.keyring.rotate(now=now, switches=switches)
    else:
        key = talkdesk.keyring.add(now=now, switches=switches, expires_at=body.expires_at)
    return web.json_response(key_state(key), status=201)


@routes.post("/control/faults")
async def add_fault(request: web.Request) -> web.Response:
    """Talkdesk's public hosts misbehave for some of the next requests."""
    fault = (await _read(request, bodies.NewFault)).to_fault()
    request.app[TALKDESK].faults.waiting.append(fault)
    return web.json_response({"waiting": len(request.app[TALKDESK].faults.waiting)}, status=201)


@routes.delete("/control/faults")
async def clear_faults(request: web.Request) -> web.Response:
    """No faults any more."""
    request.app[TALKDESK].faults.waiting.clear()
    return web.json_response({"waiting": 0})


@routes.post("/control/delivery-faults")
async def add_delivery_fault(request: web.Request) -> web.Response:
    """The next deliveries go wrong on their way."""
    faults = request.app[TALKDESK].deliveries.faults
    faults.waiting.append((await _read(request, bodies.NewDeliveryFault)).to_fault())
    return web.json_response({"waiting": len(faults.waiting)}, status=201)


@routes.delete("/control/delivery-faults")
async def clear_delivery_faults(request: web.Request) -> web.Response:
    """Deliveries go right again."""
    request.app[TALKDESK].deliveries.faults.waiting.clear()
    return web.json_response({"waiting": 0})


@routes.get("/control/clock")
async def clock(request: web.Request) -> web.Response:
    """The time in Talkdesk's world."""
    return web.json_response({"now": millis_time(request.app[TALKDESK].clock.now())})


@routes.post("/control/clock")
async def move_clock(request: web.Request) -> web.Response:
    """Move the clock forward; answers when everything that fell due on the way has been done."""
    body = await _read(request, bodies.ClockMove)
    now = await request.app[TALKDESK].agenda.advance(timedelta(seconds=body.advance_seconds))
    return web.json_response({"now": millis_time(now)})


@routes.get("/control/switches")
async def switches(request: web.Request) -> web.Response:
    """Every switch and its value."""
    return web.json_response(request.app[TALKDESK].switches.model_dump())


@routes.patch("/control/switches")
async def change_switches(request: web.Request) -> web.Response:
    """Change some; the others stay."""
    talkdesk = request.app[TALKDESK]
    talkdesk.switches = talkdesk.switches.changed((await _read(request, bodies.AnyObject)).root)
    return web.json_response(talkdesk.switches.model_dump())


@routes.get("/control/ledger")
async def ledger(request: web.Request) -> web.Response:
    """Entries after ``since``; with ``wait`` (seconds, at most 60) waits for the first new one."""
    try:
        since, wait = int(request.query.get("since", "0")), float(request.query.get("wait", "0"))
    except ValueError:
        raise web.HTTPBadRequest(reason="since and wait are numbers") from None
    entries: list[dict[str, Any]] = await request.app[TALKDESK].ledger.wait(
        since, seconds=min(wait, _LONGEST_WAIT)
    )
    return web.json_response({"entries": entries, "next": entries[-1]["seq"] if entries else since})


async def _read(request: web.Request, model: type[_Body]) -> _Body:
    """The request's body as ``model``; no body is an empty object. Raises ValidationError."""
    return model.model_validate_json(await request.read() or b"{}")
