"""The webhook's settings: ``TALKDESK_…`` variables, as ``docs/interfaces.md`` lists them."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from talkdesk_kube.pod import CommaSeparated, PodSettings

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class WebhookSettings(PodSettings):
    """Durations are seconds, sizes bytes. ``gateways`` are the only places signature keys come from."""

    port: Annotated[int, Field(ge=0, le=65535, description="0: any free one")] = 8080
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=512)] = "/events"
    gateways: CommaSeparated
    # What one event names must fit into one object of etcd's, hence no more than 1 MiB.
    max_body_bytes: Annotated[int, Field(ge=1024, le=1048576)] = 1048576
    max_inflight_bytes: Annotated[int, Field(ge=1048576)] = 33554432
    signature_hash: Literal["sha512", "sha384", "sha256"] = "sha512"
    point65_curve: Literal["p256", "secp256k1"] = "p256"
    read_seconds: Seconds = 5.0
    store_budget_seconds: Seconds = 8.0
    drain_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 2.0

    @field_validator("gateways")
    @classmethod
    def _https(cls, gateways: tuple[str, ...]) -> tuple[str, ...]:
        if not gateways:
            raise ValueError("name at least one gateway, e.g. https://api.talkdeskapp.com")
        for gateway in gateways:
            parts = urlsplit(gateway)
            if (
                parts.scheme != "https"
                or not parts.hostname
                or "@" in parts.netloc
                or parts.query
                or parts.fragment
            ):
                # Who answers there decides whose events count.
                raise ValueError("gateways must be https:// URLs of a host, without user, query and fragment")
        return tuple(dict.fromkeys(gateway.rstrip("/") for gateway in gateways))

    @field_validator("path")
    @classmethod
    def _not_a_probe(cls, path: str) -> str:
        if path in {"/healthz", "/readyz"}:
            raise ValueError("/healthz and /readyz are the probes' paths")
        return path
