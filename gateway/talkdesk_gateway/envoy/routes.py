"""Which request goes where, and what it needs on the way.

Nothing but the prefix ``/_td/`` and the wish for a WebSocket decides who authorizes a request: there is no
path of the app that another path could be mistaken for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_gateway.envoy.bar import bar_on_route
from talkdesk_gateway.envoy.names import RELAY, TENANT, WEB, Json, overwrite, seconds, typed

if TYPE_CHECKING:
    from talkdesk_gateway.envoy.settings import EnvoySettings

_SAFE = "GET|HEAD"


def routes(settings: EnvoySettings) -> Json:
    """The route configuration of the public listener."""
    return {
        "name": "public",
        "virtual_hosts": [
            {
                "name": "any",
                "domains": ["*"],
                "routes": [
                    _web(settings),
                    _relay(settings),
                    *_documents(settings),
                    _events(settings),
                    *_anything(settings),
                ],
                "request_headers_to_add": _forwarded(settings),
            }
        ],
    }


def _forwarded(settings: EnvoySettings) -> list[Json]:
    """How browsers reach us, and the one address that we believe: no app needs to count hops."""
    port = settings.public_port or {"https": 443, "http": 80}[settings.public_scheme]
    return [
        overwrite("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        overwrite("x-forwarded-proto", settings.public_scheme),
        overwrite("x-forwarded-host", f"%REQ(:AUTHORITY)%{settings.public_suffix}"),
        overwrite("x-forwarded-port", str(port)),
    ]


def _web(settings: EnvoySettings) -> Json:
    return {
        "name": "web",
        "match": {"prefix": "/_td/"},
        "route": {
            "cluster": WEB,
            "timeout": seconds(settings.page_seconds),
            # Every step of the sign-in that changes something is bound to a code or ticket, which works once.
            "retry_policy": {"retry_on": "connect-failure", "num_retries": 2},
        },
        "typed_per_filter_config": _no_decision(),
    }


def _relay(settings: EnvoySettings) -> Json:
    return {
        "name": "relay",
        "match": {
            "prefix": "/",
            "headers": [{"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}}],
        },
        "route": {
            "cluster": RELAY,
            "timeout": "0s",
            "idle_timeout": seconds(settings.websocket_idle_seconds),
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "retry_policy": {"retry_on": "connect-failure", "num_retries": 2},
        },
        "typed_per_filter_config": _no_decision(),
    }


def _documents(settings: EnvoySettings) -> list[Json]:
    """Navigations: the only requests whose answer may bear the bar."""
    document = {"name": "sec-fetch-dest", "string_match": {"exact": "document"}}
    return [
        _tenant(settings, "document", [document, _method(_SAFE)], retry=True, filters=bar_on_route()),
        _tenant(settings, "document-post", [document, _method("POST")], filters=bar_on_route()),
    ]


def _events(settings: EnvoySettings) -> Json:
    """Server-sent events: quiet for long, but not for ever, for a stream is decided upon only once."""
    accepts = {"name": "accept", "string_match": {"contains": "text/event-stream"}}
    route = _tenant(settings, "events", [accepts, _method(_SAFE)], retry=True)
    life = seconds(settings.event_stream_seconds)
    route["route"] |= {"idle_timeout": "0s", "max_stream_duration": {"max_stream_duration": life}}
    return route


def _anything(settings: EnvoySettings) -> list[Json]:
    return [_tenant(settings, "safe", [_method(_SAFE)], retry=True), _tenant(settings, "other", [])]


def _tenant(
    settings: EnvoySettings,
    name: str,
    headers: list[Json],
    *,
    retry: bool = False,
    filters: Json | None = None,
) -> Json:
    action: dict[str, Any] = {
        "cluster": TENANT,
        # No bound on how long an answer takes, only on silence (the listener's) and on the whole.
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": seconds(settings.stream_seconds)},
    }
    if settings.public_suffix:
        # Decisions are by host alone, but an app compares Host with browsers' Origin, which has the port.
        action["host_rewrite_header"] = "x-forwarded-host"
    if retry:
        action["retry_policy"] = {"retry_on": "reset", "num_retries": 1}
    route: Json = {
        "name": name,
        "match": {"prefix": "/", "headers": headers},
        "route": action,
        # Only the gateway may tell the bar's script to sign in.
        "response_headers_to_remove": ["x-td-sign-in"],
    }
    if filters:
        route["typed_per_filter_config"] = filters
    return route


def _method(pattern: str) -> Json:
    return {"name": ":method", "string_match": {"safe_regex": {"regex": pattern}}}


def _no_decision() -> Json:
    return {
        "authorization": typed("extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", disabled=True),
    }
