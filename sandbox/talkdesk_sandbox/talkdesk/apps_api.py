"""The Apps API on each region's gateway, and the one unauthenticated resource: the signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from talkdesk_sandbox.talkdesk import life
from talkdesk_sandbox.talkdesk.answers import TALKDESK, Shape, about, answer, authorize, host_of, refusal
from talkdesk_sandbox.talkdesk.change import NotPossibleError
from talkdesk_sandbox.talkdesk.hosts import api_root
from talkdesk_sandbox.talkdesk.records import (
    app_record,
    installation_record,
    page_of,
    paging,
    signing_key_record,
    state_record,
    subscription_record,
    trial_record,
    user_record,
)

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Installation
    from talkdesk_sandbox.talkdesk.platform import Talkdesk
    from talkdesk_sandbox.talkdesk.tokens import Grant

routes = web.RouteTableDef()
_INSTALLATION = "/apps/{app_id}/installations/{installation_id}"


@routes.get("/events/signature-keys/{key_id}")
async def signature_key(request: web.Request) -> web.Response:
    """A signing key, expired or not. No authentication."""
    talkdesk = request.app[TALKDESK]
    key = talkdesk.keyring.keys.get(request.match_info["key_id"])
    if key is None or key.region not in {None, host_of(request).region}:
        raise refusal(404, "no such signature key")
    return answer(request, signing_key_record(key, switches=talkdesk.switches))


@routes.get("/apps/{app_id}")
async def app(request: web.Request) -> web.Response:
    """The app's record; only its own installations may read it."""
    talkdesk, grant = request.app[TALKDESK], authorize(request, scope="apps:read")
    wanted = request.match_info["app_id"]
    if wanted not in talkdesk.apps:
        raise refusal(404, "no such app")
    if talkdesk.installation(grant.installation_id).app_id != wanted:
        raise refusal(403, "the token belongs to another app")
    return answer(request, app_record(talkdesk.app(wanted), root=_root(request)))


@routes.get(_INSTALLATION)
async def installation(request: web.Request) -> web.Response:
    """The installation with its state and the admin who installed."""
    shape = request.app[TALKDESK].switches.installation_errors
    found, _ = _own(request, scope="apps:read", shape=shape)
    creator = request.app[TALKDESK].user(found.created_by)
    return answer(request, installation_record(found, created_by=creator, root=_root(request)))


@routes.get(f"{_INSTALLATION}/users")
async def users(request: web.Request) -> web.Response:
    """The licensed users, a page at a time."""
    talkdesk = request.app[TALKDESK]
    found, _ = _own(request, scope="apps:read", shape=talkdesk.switches.installation_errors)
    page, per_page = _paging(request)
    licensed = life.listed_users(found, switches=talkdesk.switches)
    url = f"{_url(request, found)}/users"
    root = _root(request)
    return answer(
        request,
        page_of(
            licensed,
            lambda id_: user_record(talkdesk.user(id_), root=root),
            name="users",
            page=page,
            per_page=per_page,
            url=url,
        ),
    )


@routes.get(f"{_INSTALLATION}/subscription")
async def subscription(request: web.Request) -> web.Response:
    """What is bought."""
    found, _ = _own(request, scope="apps:read", shape="error")
    bought = life.listed_subscription(found, switches=request.app[TALKDESK].switches)
    return answer(request, subscription_record(bought, url=f"{_url(request, found)}/subscription"))


@routes.get(f"{_INSTALLATION}/trial")
async def trial(request: web.Request) -> web.Response:
    """The trial, running or ended."""
    found, _ = _own(request, scope="apps:read", shape="common")
    if found.trial is None:
        if request.app[TALKDESK].switches.no_trial == "empty":
            return answer(request, {})
        raise refusal(404, "this installation has no trial")
    return answer(request, trial_record(found.trial, url=_url(request, found)))


@routes.post(f"{_INSTALLATION}/state")
async def state(request: web.Request) -> web.Response:
    """``{state: approve | reject, reason?}`` settles what is pending."""
    talkdesk = request.app[TALKDESK]
    found, _ = _own(request, scope="apps:write", shape="error")
    body = await _json(request)
    verdict, reason = body.get("state"), body.get("reason")
    if verdict not in ("approve", "reject") or not isinstance(reason, str | None):
        raise refusal(400, "state must be approve or reject, reason a string", shape="error")
    about(request).detail["sent"] = {"state": verdict, "reason": reason}
    about(request).event_id = found.pending.event_id if found.pending else None
    try:
        after = talkdesk.answer(found.id, verdict=verdict, reason=reason)
    except NotPossibleError as contradiction:
        repeated = found.pending is None and found.settled and found.settled.verdict == verdict
        status = 409 if repeated else talkdesk.switches.contrary_answer
        raise refusal(status, str(contradiction), shape="error") from None
    shown = state_record(after, url=_url(request, after))
    if talkdesk.switches.state_answer == "answer":
        shown["state"] = verdict
    return answer(request, shown)


@routes.post(f"{_INSTALLATION}/credentials/actions/rotate")
async def rotate(request: web.Request) -> web.Response:
    """The partner asks for new credentials; they come by event."""
    talkdesk = request.app[TALKDESK]
    found, _ = _own(request, scope="apps:write", shape="common")
    try:
        about(request).event_id = talkdesk.rotate(found.id, compromise=False)
    except NotPossibleError as contradiction:
        raise refusal(409, str(contradiction)) from None
    return answer(request, {}, status=talkdesk.switches.rotate_answer)


@routes.post(f"{_INSTALLATION}/credentials/{{client_id}}/state")
async def acknowledge(request: web.Request) -> web.Response:
    """``{state: acknowledged}`` for the new client, sent with the new client's own token."""
    talkdesk = request.app[TALKDESK]
    found, grant = _own(request, scope="apps:write", shape="common")
    client_id = request.match_info["client_id"]
    if (await _json(request)).get("state") != "acknowledged":
        raise refusal(400, "state must be acknowledged")
    about(request).detail["sent"] = {"state": "acknowledged"}
    if found.credential(client_id) is None:
        raise refusal(404, "no such credentials")
    if grant.client_id != client_id:
        raise refusal(403, "only the new credentials themselves can acknowledge that they arrived")
    try:
        talkdesk.acknowledge(found.id, client_id=client_id)
    except NotPossibleError as contradiction:
        raise refusal(409, str(contradiction)) from None
    done: Any = "acknowledged"
    if talkdesk.switches.ack_state == "object":
        done = {"state": "acknowledged"}
    url = f"{_url(request, found)}/credentials/{client_id}/state"
    return answer(request, {"state": done, "_links": {"self": {"href": url}}}, status=202)


def _root(request: web.Request) -> str:
    return api_root(host_of(request).region)


def _url(request: web.Request, found: Installation) -> str:
    return f"{_root(request)}/apps/{found.app_id}/installations/{found.id}"


def _own(request: web.Request, *, scope: str, shape: Shape) -> tuple[Installation, Grant]:
    """The installation of the path, if the token is its own; else 404 for none, 403 for a foreign one."""
    talkdesk: Talkdesk = request.app[TALKDESK]
    grant = authorize(request, scope=scope, shape=shape)
    found = talkdesk.installations.get(request.match_info["installation_id"])
    if found is None or found.app_id != request.match_info["app_id"]:
        raise refusal(404, "no such installation", shape=shape)
    if found.id != grant.installation_id:
        raise refusal(403, "the token belongs to another installation", shape=shape)
    if found.gone:
        raise refusal(404, "no such installation", shape=shape)
    return found, grant


def _paging(request: web.Request) -> tuple[int, int]:
    try:
        return paging(request.query, default=request.app[TALKDESK].switches.page_size)
    except ValueError as wrong:
        raise refusal(400, str(wrong)) from None


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError):
        body = None
    if request.content_type != "application/json" or not isinstance(body, dict):
        raise refusal(400, "the request is a JSON object")
    return body
