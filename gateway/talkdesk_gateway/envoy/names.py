"""Names that several parts of the configuration use."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

WEB = "web"
DECISION = "decision"
RELAY = "relay"
TENANT = "tenant"
ADMIN = "admin"

#: Where Envoy keeps what the decision said about a request: no client can write there.
VERDICT = "envoy.filters.http.ext_authz"


def typed(message: str, **fields: Any) -> Json:
    """A value that says what it is, e.g. ``typed("config.core.v3.Address", …)``."""
    return {"@type": f"type.googleapis.com/envoy.{message}", **fields}


def seconds(value: float) -> str:
    """A duration as Envoy's JSON writes it."""
    return f"{value:.3f}s"


def address(host: str, port: int) -> Json:
    """A TCP address."""
    return {"socket_address": {"address": host, "port_value": port}}


def overwrite(header: str, value: str) -> Json:
    """A header that replaces whatever was there."""
    return {"header": {"key": header, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
