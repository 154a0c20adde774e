"""``ext_authz``: the gateway decides on every request, and nothing is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_gateway.envoy.names import DECISION, Json, seconds, typed

if TYPE_CHECKING:
    from talkdesk_gateway.envoy.settings import EnvoySettings

#: What the decision says to the app. It always says all of them: a header that it left out would be the
#: client's own, had that not been taken away before (``listener.py``).
IDENTITY_HEADERS = (
    "x-td-installation",
    "x-td-account",
    "x-td-user",
    "x-td-name",
    "x-td-email",
    "x-td-role",
    "x-td-plan",
    "x-td-identity",
    "cookie",
)
#: What the decision says to Envoy: kept as metadata of the request.
METADATA_HEADERS = ("x-td-upstream", "x-td-bar", "x-td-bar-csp", "x-td-status")
#: What of the client's request the decision looks at, beside method, path, host and authorization.
SEEN_HEADERS = (
    "accept",
    "cookie",
    "origin",
    "x-request-id",
)
#: How often a decision is asked for, each time for its part of the patience with it.
_TRIES = 3


def authorization(settings: EnvoySettings) -> Json:
    """The filter. No answer, an answer of 5xx or one that is too late: 504, which ``replies.py`` words."""
    return typed(
        "extensions.filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        failure_mode_allow=False,
        # A status that no decision has, so that the page for it can tell it from one.
        status_on_error={"code": "GatewayTimeout"},
        # No filter may choose another route, one without a decision, after the decision.
        clear_route_cache=False,
        allowed_headers={
            "patterns": [*({"exact": header} for header in SEEN_HEADERS), {"prefix": "sec-fetch-"}]
        },
        http_service={
            "server_uri": {
                "uri": f"http://{DECISION}",
                "cluster": DECISION,
                "timeout": seconds(settings.decision_seconds),
            },
            "path_prefix": "/decide",
            # A decision changes nothing: it may be asked for again when a replica goes away, or hangs.
            "retry_policy": {
                "retry_on": "reset,connect-failure",
                "num_retries": _TRIES - 1,
                # Here, unlike in a route's policy, the longest pause is also how long one try may take.
                "retry_back_off": {
                    "base_interval": "0.010s",
                    "max_interval": seconds(settings.decision_seconds / _TRIES),
                },
            },
            "authorization_response": {
                "allowed_upstream_headers": {"patterns": [{"exact": name} for name in IDENTITY_HEADERS]},
                "allowed_client_headers_on_success": {"patterns": [{"exact": "set-cookie"}]},
                "dynamic_metadata_from_headers": {"patterns": [{"exact": name} for name in METADATA_HEADERS]},
            },
        },
    )
