"""SCIM (RFC 7644) on each region's gateway: the account's users with their roles, to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from talkdesk_sandbox.talkdesk.answers import TALKDESK, answer, authorize, host_of, refusal
from talkdesk_sandbox.talkdesk.hosts import api_root, seconds_time

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import User

routes = web.RouteTableDef()
_CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
_TALKDESK = "urn:ietf:params:scim:schemas:extension:talkdesk:2.0:User"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_LARGEST_PAGE = 100


@routes.get("/scim/v2/Users")
async def users(request: web.Request) -> web.Response:
    """A page of the account's users, licensed or not; ``startIndex`` counts from 1."""
    grant = authorize(request, scope="scim", shape="scim")
    if "filter" in request.query:
        raise refusal(400, "the stand-in filters nothing", shape="scim", error="invalidFilter")
    first = max(1, _number(request, "startIndex", default=1))
    count = min(_LARGEST_PAGE, max(0, _number(request, "count", default=_LARGEST_PAGE)))
    everyone = request.app[TALKDESK].users_of(grant.account_id)
    shown = everyone[first - 1 : first - 1 + count]
    return answer(
        request,
        {
            "schemas": [_LIST],
            "totalResults": len(everyone),
            "startIndex": first,
            "itemsPerPage": len(shown),
            "Resources": [_record(user, request) for user in shown],
        },
    )


@routes.get("/scim/v2/Users/{user_id}")
async def user(request: web.Request) -> web.Response:
    """One user of the token's account."""
    grant = authorize(request, scope="scim", shape="scim")
    found = request.app[TALKDESK].users.get(request.match_info["user_id"])
    if found is None or found.account_id != grant.account_id:
        raise refusal(404, "no such user", shape="scim")
    return answer(request, _record(found, request))


def _record(user: User, request: web.Request) -> dict[str, Any]:
    given, _, family = user.name.rpartition(" ")
    return {
        "schemas": [_CORE, _TALKDESK],
        "id": user.id,
        "userName": user.email,
        "name": {"formatted": user.name, "givenName": given, "familyName": family},
        "displayName": user.name,
        "emails": [{"value": user.email, "type": "work", "primary": True}],
        "active": user.active,
        _TALKDESK: {"rolesString": ";".join(user.roles), "teamsString": ""},
        "meta": {
            "resourceType": "User",
            "created": seconds_time(user.created_at),
            "location": f"{api_root(host_of(request).region)}/scim/v2/Users/{user.id}",
        },
    }


def _number(request: web.Request, name: str, *, default: int) -> int:
    try:
        return int(request.query.get(name, default))
    except ValueError:
        raise refusal(400, f"{name} is a whole number", shape="scim", error="invalidValue") from None
