"""The public listener: what is believed of a request before anything else looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_gateway.envoy.access_log import access_log
from talkdesk_gateway.envoy.authorization import authorization
from talkdesk_gateway.envoy.bar import bar_filter
from talkdesk_gateway.envoy.names import Json, address, seconds, typed
from talkdesk_gateway.envoy.replies import replies
from talkdesk_gateway.envoy.routes import routes

if TYPE_CHECKING:
    from pathlib import PurePath

    from talkdesk_gateway.envoy.settings import EnvoySettings

#: An address range that no connection comes from. An empty list would mean Envoy's own, all private ones.
NOBODY = {"address_prefix": "255.255.255.255", "prefix_len": 32}
#: Name of the certificate's resource in ``certificate_file``.
CERTIFICATE = "certificate"


def listener(settings: EnvoySettings, certificate_file: PurePath | None) -> Json:
    """The listener; ``certificate_file`` is where ``certificate`` was written, None for plain HTTP."""
    chain: Json = {
        "filters": [
            {
                "name": "http",
                "typed_config": typed(
                    "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    **_manager(settings),
                ),
            }
        ]
    }
    if certificate_file is not None:
        chain["transport_socket"] = _tls(certificate_file)
    return {
        "name": "public",
        "address": address(settings.bind_address, settings.port),
        "per_connection_buffer_limit_bytes": settings.buffer_bytes,
        "tcp_backlog_size": 4096,
        "filter_chains": [chain],
    }


def certificate(settings: EnvoySettings) -> Json | None:
    """The resource that names the certificate's files; None without TLS.

    It is a file of its own, because Envoy reads a certificate again only where it is told of it this way.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return {
        "resources": [
            typed(
                "extensions.transport_sockets.tls.v3.Secret",
                name=CERTIFICATE,
                tls_certificate={
                    "certificate_chain": {"filename": str(settings.tls_certificate)},
                    "private_key": {"filename": str(settings.tls_key)},
                    # kubelet replaces a Secret's files by turning a link in their folder.
                    "watched_directory": {"path": str(settings.tls_certificate.parent)},
                },
            )
        ]
    }


def _tls(certificate_file: PurePath) -> Json:
    return {
        "name": "tls",
        "typed_config": typed(
            "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context={
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificate_sds_secret_configs": [
                    {
                        "name": CERTIFICATE,
                        "sds_config": {
                            "resource_api_version": "V3",
                            "path_config_source": {"path": str(certificate_file)},
                        },
                    }
                ],
            },
        ),
    }


def _manager(settings: EnvoySettings) -> Json:
    return {
        "stat_prefix": "public",
        # HTTP/2 by ALPN, or by prior knowledge where a load balancer ends TLS.
        "codec_type": "AUTO",
        "server_name": "talkdesk-operator",
        "strip_any_host_port": True,
        **_addresses(settings),
        **_paths(),
        **_limits(settings),
        "early_header_mutation_extensions": [_stripped()],
        "request_id_extension": {
            "typed_config": typed(
                "extensions.request_id.uuid.v3.UuidRequestIdConfig", pack_trace_reason=False
            )
        },
        "always_set_request_id_in_response": True,
        "upgrade_configs": [{"upgrade_type": "websocket", "enabled": False}],
        "http_protocol_options": {
            # Offers that a server may overlook; curl --http2 makes the first.
            "ignore_http_11_upgrade": [{"exact": "h2c", "ignore_case": True}, {"prefix": "TLS/"}],
        },
        "access_log": [access_log()],
        "local_reply_config": replies(),
        "http_filters": _filters(settings),
        "route_config": routes(settings),
    }


def _addresses(settings: EnvoySettings) -> Json:
    return {
        "use_remote_address": True,
        "xff_num_trusted_hops": settings.trusted_hops,
        # Nobody is a friend for having a private address: a load balancer has one, too.
        "internal_address_config": {"cidr_ranges": [NOBODY]},
        # Behind TLS that others end, an app must still see how browsers came.
        "scheme_header_transformation": {"scheme_to_overwrite": settings.public_scheme},
    }


def _paths() -> Json:
    """Decision, relay and app see one and the same path. Slashes are the app's business: no rule of ours
    hangs on them, and ``a//b`` and ``a%2Fb`` are names in many an API."""
    return {
        "normalize_path": True,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    }


def _limits(settings: EnvoySettings) -> Json:
    return {
        "max_request_headers_kb": settings.max_header_kilobytes,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": seconds(settings.idle_seconds),
        "request_timeout": "0s",
        "drain_timeout": "5s",
        "delayed_close_timeout": "1s",
        "common_http_protocol_options": {
            "idle_timeout": seconds(settings.keep_alive_seconds),
            "max_headers_count": settings.max_headers,
            # Frameworks read x_td_user as x-td-user.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 256,
            "initial_stream_window_size": 262144,
            "initial_connection_window_size": 1048576,
            "allow_connect": True,  # WebSockets over HTTP/2 (RFC 8441)
        },
    }


def _stripped() -> Json:
    """Headers that only we may set, or that say where a request came from and are believed of nobody."""
    ours = [{"prefix": "x-td-"}, {"prefix": "x-envoy-"}]
    return {
        "name": "stripped",
        "typed_config": typed(
            "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            mutations=_removing(*ours, {"exact": "forwarded"}, {"exact": "x-real-ip"}),
        ),
    }


def _removing(*names: Json) -> list[Json]:
    return [{"remove_on_match": {"key_matcher": name}} for name in names]


def _filters(settings: EnvoySettings) -> list[Json]:
    return [
        {
            "name": "headers",
            "typed_config": typed(
                "extensions.filters.http.header_mutation.v3.HeaderMutation",
                mutations={
                    # By now Envoy has read what a load balancer says here, as far as it is trusted. What the
                    # app is told of it the routes put in anew.
                    "request_mutations": _removing({"prefix": "x-forwarded-"}),
                    "response_mutations": _answers(settings),
                },
            ),
        },
        {"name": "authorization", "typed_config": authorization(settings)},
        bar_filter(),
        {
            "name": "router",
            "typed_config": typed(
                "extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=True,
                # Each answer would be counted by its code once more for its cluster and virtual host, by
                # names put together for it. The listener counts and times all of them; the log tells which.
                dynamic_stats=False,
            ),
        },
    ]


def _answers(settings: EnvoySettings) -> list[Json]:
    """First of the filters, so that it also sees what the others and Envoy itself answer."""
    mutations: list[Json] = [{"remove": name} for name in ("x-td-status", "x-envoy-upstream-service-time")]
    if settings.public_scheme == "https" and settings.hsts_seconds:
        header = {"key": "strict-transport-security", "value": f"max-age={settings.hsts_seconds}"}
        mutations.append({"append": {"header": header, "append_action": "ADD_IF_ABSENT"}})
    return mutations
