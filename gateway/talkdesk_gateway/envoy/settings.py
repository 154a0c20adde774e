"""What Envoy's configuration is made from: ``TALKDESK_ENVOY_…`` variables, set by the chart."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from talkdesk_kube.pod import CommaSeparated

Port = Annotated[int, Field(ge=1, le=65535)]
MaybePort = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=604800, allow_inf_nan=False)]


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    if not hosts:
        raise ValueError("name at least one host of the gateway")
    if not all(re.fullmatch(r"[A-Za-z0-9.:-]+", host) for host in hosts):
        # Kubernetes leaves a variable that it does not know as it stands; Envoy would take it for a name.
        raise ValueError(
            "a host has only letters, digits, dots, colons and hyphens; "
            "where it is a $(VARIABLE), its Service is not there yet"
        )
    return hosts


class EnvoySettings(BaseSettings):
    """Durations are seconds, sizes bytes.

    Envoy reads ``tls_certificate`` and ``tls_key``, again whenever their folder changes; without them it
    speaks plain HTTP, behind a load balancer that ends TLS. ``trusted_hops``: how many such balancers write
    ``x-forwarded-for`` before us; what came before them is the client's word and is not believed.
    """

    model_config = SettingsConfigDict(
        env_prefix="TALKDESK_ENVOY_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    bind_address: str = "0.0.0.0"  # noqa: S104 -- a pod is reached from outside; its NetworkPolicy guards it
    port: Annotated[MaybePort, Field(description="0: any free one, of this and the next two")] = 8080
    metrics_port: Annotated[MaybePort, Field(description="/ready and /stats/prometheus")] = 9090
    drain_port: Annotated[
        MaybePort, Field(description="GET /drain, for the preStop hook alone: answers when drained")
    ] = 9091
    admin_port: Annotated[
        MaybePort, Field(description="on 127.0.0.1; 0: an abstract socket of the pod alone, named after it")
    ] = 0
    pod_name: Annotated[str, Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9._-]{1,80}$")]

    public_scheme: Annotated[Literal["https", "http"], Field(description="how browsers reach us")] = "https"
    public_port: Annotated[MaybePort, Field(description="0: the scheme's own")] = 0
    hsts_seconds: Annotated[int, Field(ge=0, description="only where browsers use https; 0: off")] = 31536000
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    gateway_hosts: Annotated[CommaSeparated, AfterValidator(_hosts)]
    web_port: Port = 8080
    decision_port: Port = 8081
    relay_port: Port = 8082

    trusted_hops: Annotated[int, Field(ge=0, le=8)] = 0
    decision_seconds: Annotated[
        Seconds,
        Field(ge=0.1, description="then the request is answered 503; each of three tries has a third of it"),
    ] = 3.0
    page_seconds: Annotated[Seconds, Field(description="the gateway's own pages; a callback waits")] = 30.0
    connect_seconds: Seconds = 2.0
    idle_seconds: Annotated[Seconds, Field(description="a request without a byte for so long ends")] = 300.0
    event_stream_seconds: Annotated[
        Seconds, Field(description="life of a stream of server-sent events; browsers connect again")
    ] = 300.0
    stream_seconds: Annotated[Seconds, Field(description="life of any other request")] = 3600.0
    websocket_idle_seconds: Seconds = 3600.0
    keep_alive_seconds: Annotated[Seconds, Field(description="idle connections of clients")] = 620.0
    drain_seconds: Annotated[Seconds, Field(description="connections are told to end within this time")] = (
        10.0
    )

    max_connections: Annotated[int, Field(ge=1, description="of clients; more are refused")] = 20000
    max_header_kilobytes: Annotated[int, Field(ge=1, le=96)] = 60
    max_headers: Annotated[int, Field(ge=1, le=1000)] = 100
    buffer_bytes: Annotated[int, Field(ge=16384, description="held of one stream or connection")] = 262144

    @model_validator(mode="after")
    def _tls_complete(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS_CERTIFICATE and TLS_KEY come together, or neither")
        return self

    @property
    def public_suffix(self) -> str:
        """``:port`` as it stands after the host in browsers' URLs; empty for the scheme's own."""
        own = {"https": 443, "http": 80}[self.public_scheme]
        return f":{self.public_port}" if self.public_port not in {0, own} else ""
