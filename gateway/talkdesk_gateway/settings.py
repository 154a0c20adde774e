"""The gateway's settings: ``TALKDESK_…`` variables, as ``docs/interfaces.md`` lists them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from talkdesk_kube.pod import PodSettings, Port

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class GatewaySettings(PodSettings):
    """Durations are seconds; a port of 0 is any free one, except ``public_port`` (0: the scheme's own)."""

    port: Port = 8080
    decision_port: Port = 8081
    relay_port: Port = 8082
    jwks_port: Port = 8083
    public_scheme: Annotated[
        Literal["https", "http"], Field(description="how browsers reach Envoy; http is for tests alone")
    ] = "https"
    public_port: Port = 0
    # A healthy watch may be silent for a minute.
    stale_seconds: Annotated[float, Field(ge=120, le=86400, allow_inf_nan=False)] = 300.0
    wait_seconds: Seconds = 10.0
    switch_path: Annotated[
        str,
        Field(
            pattern=r"^/[!-~]*$",
            max_length=512,
            description="path on an account's identity host where one signs in to Talkdesk as somebody else; "
            "Talkdesk documents none",
        ),
    ] = "/login"
    drain_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 2.0

    def origin(self, host: str) -> str:
        """``scheme://host[:port]`` as a browser writes it."""
        own = {"https": 443, "http": 80}[self.public_scheme]
        port = "" if self.public_port in (0, own) else f":{self.public_port}"
        return f"{self.public_scheme}://{host}{port}"
