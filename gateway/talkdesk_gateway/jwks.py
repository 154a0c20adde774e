"""The public identity keys, for tenants to check ``x-td-identity`` with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from talkdesk_crds.key_ring import Key
    from talkdesk_gateway.seams import Keys

#: Well below the time that a new key is known before it signs.
CACHE_CONTROL: Final = "public, max-age=60"
_PUBLIC: Final = ("kty", "crv", "x", "y")


def key_set(keys: tuple[Key, ...]) -> dict[str, Any]:
    """The JSON Web Key Set of ``keys``: their public halves alone. Pure."""
    listed = []
    for key in keys:
        jwk = json.loads(key.jwk.get_secret_value())
        listed.append(
            {field: jwk[field] for field in _PUBLIC} | {"kid": key.id, "use": "sig", "alg": "ES256"}
        )
    return {"keys": listed}


def answer(keys: Keys) -> web.Response:
    """The key set as an answer; 503 while there is none, for an empty one would be believed."""
    identity = keys.identity_keys()
    if not identity:
        return web.json_response({"error": "the keys are not known yet"}, status=503)
    return web.json_response(key_set(identity), headers={"Cache-Control": CACHE_CONTROL})


def application(keys: Keys) -> web.Application:
    """``GET /jwks.json``, for tenants' pods."""

    async def get(_: web.Request) -> web.Response:
        return answer(keys)

    app = web.Application()
    app.router.add_get("/jwks.json", get)
    return app
