"""The whole configuration, from settings: pure, and written as JSON, which has no two readings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from talkdesk_gateway.envoy.admin import admin_address, windows
from talkdesk_gateway.envoy.clusters import clusters
from talkdesk_gateway.envoy.listener import certificate, listener
from talkdesk_gateway.envoy.names import Json, typed

if TYPE_CHECKING:
    from pathlib import Path, PurePath

    from talkdesk_gateway.envoy.settings import EnvoySettings


def config(settings: EnvoySettings, certificate_file: PurePath | None = None) -> Json:
    """Envoy's bootstrap. With TLS, ``certificate_file`` is where :func:`write` puts what names its files.

    Raises ValueError where the settings ask for TLS and it is missing.
    """
    if (settings.tls_certificate is None) != (certificate_file is None):
        raise ValueError("TLS needs both: the settings' files and a certificate_file")
    return {
        "node": {"id": settings.pod_name, "cluster": "talkdesk-envoy"},
        "admin": {"address": admin_address(settings), "ignore_global_conn_limit": True},
        "static_resources": {
            "listeners": [listener(settings, certificate_file), *windows(settings)],
            "clusters": clusters(settings),
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": typed(
                        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        max_active_downstream_connections=settings.max_connections,
                    ),
                }
            ]
        },
        "stats_config": _stats(),
        "layered_runtime": {"layers": [{"name": "fixed", "static_layer": {}}]},
    }


def _stats() -> Json:
    """Envoy counts every answer a second time, as one to outsiders; to us everybody is one."""
    twice = {"safe_regex": {"regex": r"cluster\.[a-z]+\.(external|internal)\..*"}}
    return {"stats_matcher": {"exclusion_list": {"patterns": [twice]}}}


def write(settings: EnvoySettings, path: Path) -> None:
    """Write the configuration to ``path``, and beside it, with TLS, ``certificate.json``.

    Envoy must see both under the same path. Raises OSError.
    """
    resource = certificate(settings)
    certificate_file = None
    if resource is not None:
        certificate_file = path.absolute().parent / "certificate.json"
        certificate_file.write_text(json.dumps(resource, indent=1), encoding="utf-8")
    path.write_text(json.dumps(config(settings, certificate_file), indent=1), encoding="utf-8")
