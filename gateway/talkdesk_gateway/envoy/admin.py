"""Envoy's admin interface, which anybody who reaches it may command, and the two windows into it.

The interface itself listens where only the pod's own processes come. ``/ready`` and ``/stats/prometheus``
are let out by a listener of their own, and so is draining, for the preStop hook.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from talkdesk_gateway.envoy.names import ADMIN, Json, address, typed

if TYPE_CHECKING:
    from talkdesk_gateway.envoy.settings import EnvoySettings


def admin_address(settings: EnvoySettings) -> Json:
    """An abstract socket belongs to the pod's network and is no file that a volume could show."""
    if settings.admin_port:
        return address("127.0.0.1", settings.admin_port)
    return {"pipe": {"path": f"@talkdesk-envoy-{settings.pod_name}"}}


def windows(settings: EnvoySettings) -> list[Json]:
    """Listeners for what is let out of the admin interface."""
    return [_metrics(settings), _drain(settings)]


def _metrics(settings: EnvoySettings) -> Json:
    routes = [
        {
            "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
            "route": {"cluster": ADMIN, "timeout": "10s"},
        }
        for path in ("/ready", "/stats/prometheus")
    ]
    return _listener("metrics", settings.bind_address, settings.metrics_port, routes, filters=[])


def _drain(settings: EnvoySettings) -> Json:
    """``GET /drain`` tells all listeners to drain and answers after ``drain_seconds``.

    The kubelet waits for its preStop hook before it sends SIGTERM, at which Envoy ends at once.
    """
    script = resources.files(__package__).joinpath("drain.lua").read_text(encoding="utf-8")
    filters = [
        {
            "name": "drain",
            "typed_config": typed(
                "extensions.filters.http.lua.v3.Lua", default_source_code={"inline_string": script}
            ),
        },
        {
            "name": "wait",
            "typed_config": typed(
                "extensions.filters.http.fault.v3.HTTPFault",
                delay={
                    "fixed_delay": f"{settings.drain_seconds:.3f}s",
                    "percentage": {"numerator": 100},
                },
            ),
        },
    ]
    routes = [
        {
            "match": {"path": "/drain"},
            "direct_response": {"status": 200, "body": {"inline_string": "drained\n"}},
        }
    ]
    return _listener("drain", settings.bind_address, settings.drain_port, routes, filters=filters)


def _listener(name: str, host: str, port: int, routes: list[Json], *, filters: list[Json]) -> Json:
    manager: dict[str, Any] = {
        "stat_prefix": name,
        "codec_type": "HTTP1",
        "request_headers_timeout": "5s",
        "common_http_protocol_options": {"idle_timeout": "60s"},
        "http_filters": [
            *filters,
            {"name": "router", "typed_config": typed("extensions.filters.http.router.v3.Router")},
        ],
        "route_config": {
            "name": name,
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}],
        },
    }
    return {
        "name": name,
        "address": address(host, port),
        # What watches over Envoy is let in when clients no longer are.
        "ignore_global_conn_limit": True,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "http",
                        "typed_config": typed(
                            "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                            **manager,
                        ),
                    }
                ]
            }
        ],
    }
