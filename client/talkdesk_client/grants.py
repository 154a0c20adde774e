"""Requests to the token endpoint: what is asked for, and how the client shows who it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import httpx

from talkdesk_client.assertion import ASSERTION_TYPE, audience, client_assertion
from talkdesk_client.errors import UnusableCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from talkdesk_client.credentials import Credentials, InstallationRef
    from talkdesk_client.options import ClientOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRequest:
    """A request for a token; ``secrets``: what in it is secret, the credentials left out."""

    request: httpx.Request
    auth: httpx.Auth | None
    secrets: tuple[SecretStr, ...]


def grant_request(
    http: httpx.AsyncClient,
    ref: InstallationRef,
    *,
    fields: Mapping[str, str],
    hidden: Mapping[str, SecretStr],
    options: ClientOptions,
    now: float,
) -> GrantRequest:
    """``fields`` and ``hidden`` ones, form-encoded, from the client of ``ref``; good for one sending.

    ``now`` is seconds since 1970. ForeignHost for a token link that is not of the host table,
    UnusableCredentials where they lack what ``options.auth_method`` needs.
    """
    url = ref.hosts.identity_url(ref.token_url)
    auth: httpx.Auth | None = None
    if options.auth_method == "client_secret_basic":
        auth = _basic(ref.credentials, options)
    else:
        assertion = client_assertion(
            ref.credentials, audience=audience(ref.token_url, options.assertion_audience), now=now
        )
        fields = {**fields, "client_assertion_type": ASSERTION_TYPE}
        hidden = {**hidden, "client_assertion": assertion}
    request = http.build_request(
        "POST", url, data={**fields, **{name: secret.get_secret_value() for name, secret in hidden.items()}}
    )
    return GrantRequest(request=request, auth=auth, secrets=tuple(hidden.values()))


def _basic(credentials: Credentials, options: ClientOptions) -> httpx.Auth:
    if credentials.client_secret is None:
        raise UnusableCredentials("the credentials hold no client_secret, which client_secret_basic needs")
    encode = quote_plus if options.basic_encoding == "form" else str
    return httpx.BasicAuth(
        encode(credentials.client_id), encode(credentials.client_secret.get_secret_value())
    )
