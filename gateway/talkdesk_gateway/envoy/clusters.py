"""Where requests go: the gateway's three ports, the tenants' Services, and Envoy's own admin interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_gateway.envoy.admin import admin_address
from talkdesk_gateway.envoy.names import (
    ADMIN,
    DECISION,
    RELAY,
    TENANT,
    VERDICT,
    WEB,
    Json,
    address,
    seconds,
    typed,
)

if TYPE_CHECKING:
    from talkdesk_gateway.envoy.settings import EnvoySettings

# Node's servers close idle connections after 5 s, aiohttp's and gunicorn's later: we are always first, and a
# request never meets a connection that is being closed.
_UPSTREAM_IDLE_SECONDS = 4.0
# Envoy's default of 1,024 is for meshes of small services; here one pool carries everybody's event streams.
_MOST = 1_000_000


def clusters(settings: EnvoySettings) -> list[Json]:
    """All clusters."""
    return [
        _gateway(settings, WEB, settings.web_port),
        _gateway(settings, DECISION, settings.decision_port),
        _gateway(settings, RELAY, settings.relay_port),
        _tenant(settings),
        _admin(settings),
    ]


def _gateway(settings: EnvoySettings, name: str, port: int) -> Json:
    return {
        **_common(settings, name),
        # Takes addresses as well; a Service without cluster IP gives one endpoint a replica.
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": address(host, port)}} for host in settings.gateway_hosts
                    ]
                }
            ],
        },
        # A replica that is gone is left alone until it answers again.
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 2,
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "1s",
            "max_ejection_time": "5s",
            "max_ejection_percent": 50,
        },
    }


def _tenant(settings: EnvoySettings) -> Json:
    """The address is the decision's word alone, read from the request's metadata, never from a header."""
    return {
        **_common(settings, TENANT),
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "original_dst_lb_config": {"metadata_key": {"key": VERDICT, "path": [{"key": "x-td-upstream"}]}},
        "cleanup_interval": "60s",
    }


def _admin(settings: EnvoySettings) -> Json:
    return {
        "name": ADMIN,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": ADMIN,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": admin_address(settings)}}]}],
        },
    }


def _common(settings: EnvoySettings, name: str) -> Json:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    thresholds = dict.fromkeys(limits, _MOST)
    return {
        "name": name,
        "connect_timeout": seconds(settings.connect_seconds),
        "per_connection_buffer_limit_bytes": settings.buffer_bytes,
        "circuit_breakers": {"thresholds": [{"priority": "DEFAULT", **thresholds}]},
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_time": 30, "keepalive_interval": 5, "keepalive_probes": 3}
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "extensions.upstreams.http.v3.HttpProtocolOptions",
                common_http_protocol_options={"idle_timeout": seconds(_UPSTREAM_IDLE_SECONDS)},
                explicit_http_config={"http_protocol_options": {}},
            )
        },
    }
