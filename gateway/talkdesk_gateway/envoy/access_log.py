"""One JSON line a request on stdout. Query strings, cookies and referers hold secrets and are not in it."""

from __future__ import annotations

from talkdesk_gateway.envoy.names import Json, typed

_FIELDS = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "protocol": "%PROTOCOL%",
    "method": "%REQ(:METHOD)%",
    "host": "%REQ(:AUTHORITY)%",
    "path": "%REQ_WITHOUT_QUERY(:PATH):512%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "route": "%ROUTE_NAME%",
    "upstream": "%UPSTREAM_HOST%",
    "installation": "%REQ(X-TD-INSTALLATION)%",
    "user": "%REQ(X-TD-USER)%",
    "user_agent": "%REQ(USER-AGENT):256%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "milliseconds": "%DURATION%",
    "upstream_milliseconds": "%RESPONSE_DURATION%",
}


def access_log() -> Json:
    """The log of the public listener."""
    return {
        "name": "stdout",
        "typed_config": typed(
            "extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format={
                "json_format": _FIELDS,
                "omit_empty_values": False,
                "formatters": [
                    {
                        "name": "envoy.formatter.req_without_query",
                        "typed_config": typed("extensions.formatter.req_without_query.v3.ReqWithoutQuery"),
                    }
                ],
            },
        ),
    }
