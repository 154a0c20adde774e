"""The three Envoys: the product's, a bare one that does nothing but route, and the upstream of both."""

from __future__ import annotations

import os
from typing import Any

from talkdesk_gateway.envoy import EnvoySettings, config

Json = dict[str, Any]

_ROUTER = {
    "name": "router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
#: About 16 and 4 KB: little, for the web.
PAGE = (
    "<!doctype html><html><head><title>Calls</title></head><body>"
    + "<p>Ada called Ben at ten.</p>" * 590
    + "</body></html>"
)
DATA = '{"calls":[' + ",".join(f'{{"id":{number},"from":"Ada","to":"Ben"}}' for number in range(112)) + "]}"


def product(port: int, gateways: list[str]) -> Json:
    """What the chart's init container would write, but for where it listens."""
    return config(
        EnvoySettings(
            bind_address="127.0.0.1",
            port=port,
            metrics_port=0,
            drain_port=0,
            pod_name=f"product-{os.getpid()}-{port}",
            public_scheme="http",
            public_port=port,
            gateway_hosts=tuple(gateways),
        )
    )


def bare(served: list[str]) -> Json:
    """One listener, one route, one cluster; no filter but the router, no log."""
    endpoints = [{"endpoint": {"address": _address(one)}} for one in served]
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
    return _bootstrap("bare", [_listener("public", "127.0.0.1:0", [route])], [cluster])


def upstream(served: list[str]) -> Json:
    """Answers at each address: a page at ``/page``, JSON elsewhere."""
    routes = [
        _answer({"prefix": "/page"}, "text/html; charset=utf-8", PAGE),
        _answer({"prefix": "/"}, "application/json", DATA),
    ]
    return _bootstrap("upstream", [_listener(one, one, routes) for one in served], [])


def _answer(match: Json, content_type: str, body: str) -> Json:
    return {
        "match": match,
        "direct_response": {"status": 200, "body": {"inline_string": body}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": content_type},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }


def _listener(name: str, where: str, routes: list[Json]) -> Json:
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "public",
        "http_filters": [_ROUTER],
        "route_config": {
            "max_direct_response_body_size_bytes": 65536,
            "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": routes}],
        },
    }
    return {
        "name": name,
        "address": _address(where),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _bootstrap(name: str, listeners: list[Json], clusters: list[Json]) -> Json:
    return {
        "node": {"id": name, "cluster": "bench"},
        "admin": {"address": {"pipe": {"path": f"@bench-{name}-{os.getpid()}"}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _address(where: str) -> Json:
    host, _, port = where.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
