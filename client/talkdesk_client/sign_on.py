"""Signing a user on: the link that the browser is sent to, and what Talkdesk then says of the user.

Sources: https://docs.talkdesk.com/docs/authorization-code and ``/reference/usersme``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SecretStr, model_validator

from talkdesk_client.errors import UnusableInput
from talkdesk_client.models import Answered, Identifier, Text
from talkdesk_client.tokens import TokenAnswer

if TYPE_CHECKING:
    from talkdesk_client.hosts import Hosts

#: RFC 7636 §4.1.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def _secret_or_none(value: object) -> object:
    return value if isinstance(value, str) and value else None


OptionalToken = Annotated[SecretStr | None, BeforeValidator(_secret_or_none)]


class UserToken(TokenAnswer):
    """What a code was exchanged for: ``access_token`` speaks for the user, for ``expires_in`` seconds.

    ``sid`` is the user's session at Talkdesk; ``id_token`` comes where ``openid`` was asked for, and nobody
    here reads it: :meth:`talkdesk_client.TalkdeskClient.userinfo` says who the user is.
    """

    refresh_token: OptionalToken = None
    id_token: OptionalToken = None
    sid: OptionalToken = None


class UserInfo(Answered):
    """``GET {root}/users/me``: who signed on. Where there is no ``id``, ``sub`` is it."""

    id: Identifier
    name: Text = None
    email: Text = None

    @model_validator(mode="before")
    @classmethod
    def _sub_may_stand_for_id(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("id") in (None, ""):
            return {**value, "id": value.get("sub")}
        return value


def authorize_url(
    hosts: Hosts,
    link: str,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Iterable[str],
    state: str,
    nonce: str,
    code_challenge: str | None = None,
) -> str:
    """Where the browser is sent to sign on: an event's ``authorization`` link with the request's parameters.

    ``redirect_uri``    one that the app's version has registered, exactly as it stands there
    ``scopes``          among them ``openid``, for userinfo; none: the parameter is left out
    ``code_challenge``  of :func:`pkce_challenge`, where ``ClientOptions.pkce`` is on (S256)

    Other parameters of ``link`` stay. Pure; ForeignHost when the link is not of ``hosts``.
    """
    wanted = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "nonce": nonce,
    }
    if scope := " ".join(scopes):
        wanted["scope"] = scope
    if code_challenge is not None:
        wanted |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    return str(hosts.authorization_url(link).copy_merge_params(wanted))


def pkce_challenge(verifier: SecretStr) -> str:
    """The S256 challenge of ``verifier`` (43 to 128 of ``A-Z a-z 0-9 - . _ ~``), else UnusableInput."""
    if not _VERIFIER.fullmatch(verifier.get_secret_value()):
        raise UnusableInput("the PKCE verifier is not 43 to 128 unreserved characters; nothing was sent")
    digest = hashlib.sha256(verifier.get_secret_value().encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
