"""Tokens that speak for a user: from an authorization code, or from a refresh token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.talkdesk.hosts import identity_root
from talkdesk_sandbox.talkdesk.tokens import Grant, TokenRefusedError, expiry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_sandbox.talkdesk.codes import Authorization
    from talkdesk_sandbox.talkdesk.model import Account, Installation
    from talkdesk_sandbox.talkdesk.platform import Talkdesk


def redeemed(talkdesk: Talkdesk, fields: Mapping[str, str], *, client_id: str) -> Authorization:
    """What the request's code or refresh token stands for. Raises :class:`TokenRefusedError`."""
    if fields["grant_type"] == "refresh_token":
        authorization = talkdesk.refresh_tokens.redeem(_needed(fields, "refresh_token"), client_id=client_id)
    else:
        authorization = talkdesk.codes.redeem(
            _needed(fields, "code"),
            client_id=client_id,
            redirect_uri=_needed(fields, "redirect_uri"),
            verifier=fields.get("code_verifier"),
            now=talkdesk.clock.now(),
        )
    if not talkdesk.user(authorization.user_id).active:
        raise TokenRefusedError(400, "invalid_grant", "the user is not active")
    return authorization


def user_grant(
    talkdesk: Talkdesk, authorization: Authorization, *, installation: Installation, account: Account
) -> Grant:
    """What the access token is good for."""
    return Grant(
        installation_id=installation.id,
        account_id=account.id,
        region=account.region,
        client_id=authorization.client_id,
        scopes=authorization.scopes,
        expires_at=expiry(talkdesk.clock.now(), switches=talkdesk.switches),
        user_id=authorization.user_id,
    )


def beside_the_token(
    talkdesk: Talkdesk, authorization: Authorization, *, account: Account, with_id_token: bool
) -> dict[str, Any]:
    """What the answer holds beside a user's access token."""
    more = {"sid": authorization.sid}
    if with_id_token and "openid" in authorization.scopes:
        claims = {
            "aud": authorization.client_id,
            "sub": authorization.user_id,
            "sid": authorization.sid,
            **({} if authorization.nonce is None else {"nonce": authorization.nonce}),
        }
        more["id_token"] = talkdesk.issuer.id_token(
            claims,
            issuer=identity_root(account.region, account.name),
            now=talkdesk.clock.now(),
            switches=talkdesk.switches,
        )
    if "refresh_token" in authorization.scopes:
        more["refresh_token"] = talkdesk.refresh_tokens.issue(authorization)
    return more


def _needed(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise TokenRefusedError(400, "invalid_request", f"{name} is missing")
    return fields[name]
