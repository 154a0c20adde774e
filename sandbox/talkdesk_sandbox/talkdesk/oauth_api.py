"""OAuth on each account's identity host, between servers: the token endpoint and the key set."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web

from talkdesk_sandbox.talkdesk.answers import TALKDESK, about, account_at, answer, host_of, refusal
from talkdesk_sandbox.talkdesk.hosts import identity_root
from talkdesk_sandbox.talkdesk.ledger import HIDDEN
from talkdesk_sandbox.talkdesk.tokens import (
    ASSERTION_TYPE,
    Grant,
    TokenRefusedError,
    allowed_audiences,
    check_assertion,
    check_basic,
    expiry,
    granted_scopes,
)
from talkdesk_sandbox.talkdesk.user_tokens import beside_the_token, redeemed, user_grant

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Account, Credential
    from talkdesk_sandbox.talkdesk.platform import Talkdesk

routes = web.RouteTableDef()
_GRANT_TYPES = frozenset({"client_credentials", "authorization_code", "refresh_token"})
#: What of a request's form is told: these names, and of their values those that can be no secret.
_FIELDS = frozenset(
    {"grant_type", "client_assertion_type", "client_assertion", "client_id", "client_secret"}
    | {"code", "code_verifier", "redirect_uri", "refresh_token", "scope"}
)
_PLAIN_VALUES = {"grant_type": _GRANT_TYPES, "client_assertion_type": frozenset({ASSERTION_TYPE})}


@routes.post("/oauth/token")
async def token(request: web.Request) -> web.Response:
    """A bearer token for a client that shows who it is, by private_key_jwt or Basic.

    Its own (``client_credentials``), or a user's (``authorization_code``, ``refresh_token``).
    """
    talkdesk, account = request.app[TALKDESK], account_at(request)
    if request.content_type != "application/x-www-form-urlencoded":
        raise refusal(400, "the request is form-encoded", shape="oauth", error="invalid_request")
    try:
        form = await request.post()
    except (ValueError, LookupError):
        raise refusal(400, "the form cannot be read", shape="oauth", error="invalid_request") from None
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if len(fields) != len(form):
        raise refusal(400, "a parameter is repeated, or is a file", shape="oauth", error="invalid_request")
    try:
        body = _granted(request, talkdesk=talkdesk, account=account, fields=fields)
    except TokenRefusedError as refused:
        raise refusal(refused.status, refused.description, shape="oauth", error=refused.error) from None
    about(request).detail["token_form"] = talkdesk.switches.token_form
    response = answer(request, body)
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.get("/oauth/certs")
@routes.get("/oauth/2023-10/certs")
async def certs(request: web.Request) -> web.Response:
    """The identity provider's public keys (JWKS)."""
    account_at(request)
    return answer(request, request.app[TALKDESK].issuer.certs())


def _granted(
    request: web.Request, *, talkdesk: Talkdesk, account: Account, fields: dict[str, str]
) -> dict[str, Any]:
    """The answer of a success. Raises :class:`TokenRefusedError`."""
    grant_type = fields.get("grant_type")
    # A value nobody knows is not written down: it may be a secret in the wrong field.
    about(request).detail["grant_type"] = grant_type if grant_type in _GRANT_TYPES else None
    about(request).detail["sent"] = {
        name: value if value in _PLAIN_VALUES.get(name, ()) else HIDDEN
        for name, value in fields.items()
        if name in _FIELDS
    }
    if grant_type not in _GRANT_TYPES:
        raise TokenRefusedError(
            400, "unsupported_grant_type", f"grant_type must be one of {', '.join(sorted(_GRANT_TYPES))}"
        )
    credential = _client(request, talkdesk=talkdesk, account=account, fields=fields)
    found = talkdesk.client(credential.client_id, account=account)
    if found is None:
        raise TokenRefusedError(401, "invalid_client", "the client was revoked")
    installation, _ = found
    noted = about(request)
    noted.installation_id = installation.id
    noted.detail["client_id"] = credential.client_id
    now = talkdesk.clock.now()
    delay = timedelta(seconds=talkdesk.switches.scope_delay_seconds)
    if now < installation.created_at + delay:
        raise TokenRefusedError(401, "invalid_scope", "the client's scopes are not known here yet")
    more: dict[str, Any] = {}
    if grant_type == "client_credentials":
        grant = Grant(
            installation_id=installation.id,
            account_id=account.id,
            region=account.region,
            client_id=credential.client_id,
            scopes=granted_scopes(fields.get("scope"), allowed=installation.scopes),
            expires_at=expiry(now, switches=talkdesk.switches),
        )
    else:
        authorization = redeemed(talkdesk, fields, client_id=credential.client_id)
        noted.detail["user_id"] = authorization.user_id
        grant = user_grant(talkdesk, authorization, installation=installation, account=account)
        more = beside_the_token(
            talkdesk, authorization, account=account, with_id_token=grant_type == "authorization_code"
        )
    noted.detail["scope"] = " ".join(grant.scopes)
    issuer = identity_root(account.region, account.name)
    return {
        "access_token": talkdesk.issuer.issue(grant, issuer=issuer, now=now, switches=talkdesk.switches),
        "token_type": "Bearer",
        "expires_in": talkdesk.switches.token_seconds,
        "scope": " ".join(grant.scopes),
        **more,
    }


def _client(
    request: web.Request, *, talkdesk: Talkdesk, account: Account, fields: dict[str, str]
) -> Credential:
    """Who asks, by exactly one of the two ways."""

    def credential_of(client_id: str) -> Credential | None:
        found = talkdesk.client(client_id, account=account)
        if found is None:
            return None
        about(request).installation_id = found[0].id
        return found[1]

    header = request.headers.get("Authorization", "")
    assertion = fields.get("client_assertion")
    if header and assertion is not None:
        raise TokenRefusedError(400, "invalid_request", "two ways of authentication in one request")
    if assertion is not None:
        about(request).detail["authentication"] = "private_key_jwt"
        if fields.get("client_assertion_type") != ASSERTION_TYPE:
            raise TokenRefusedError(400, "invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}")
        credential = check_assertion(
            assertion,
            credential_of=credential_of,
            audiences=allowed_audiences(
                identity_root(account.region, host_of(request).account or account.name),
                switches=talkdesk.switches,
            ),
            seen=talkdesk.seen_assertions,
            leeway=talkdesk.switches.assertion_leeway_seconds,
            now=time.time(),
        )
    elif header.startswith("Basic "):
        about(request).detail["authentication"] = "basic"
        if talkdesk.switches.basic == "refused":
            raise TokenRefusedError(401, "invalid_client", "this client must sign an assertion")
        credential = check_basic(header, credential_of=credential_of)
    else:
        raise TokenRefusedError(401, "invalid_client", "the client does not authenticate")
    if fields.get("client_id", credential.client_id) != credential.client_id:
        raise TokenRefusedError(401, "invalid_client", "client_id is not the authenticated client")
    return credential
