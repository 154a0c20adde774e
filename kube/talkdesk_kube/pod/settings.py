"""The environment of a pod, read once at start: variables ``TALKDESK_…``, set by the chart."""

from __future__ import annotations

import socket
from pathlib import Path  # noqa: TC003 -- pydantic reads the annotation when the class is made
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode

from talkdesk_kube.connection import KubeSettings


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


#: A list as one variable: ``a, b``.
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]

Port = Annotated[int, Field(ge=0, le=65535)]


class PodSettings(KubeSettings):
    """What all processes need; each adds its own in a subclass. An empty variable counts as unset."""

    namespace: Annotated[str, Field(description="the release's namespace")]
    release: Annotated[str, Field(description="the Helm release's name")]
    credentials_namespace: Annotated[str, Field(description="where installations' credentials are kept")]
    pod_name: Annotated[
        str, Field(default_factory=socket.gethostname, description="identity in the Lease and in Events")
    ]
    bind_address: str = "0.0.0.0"  # noqa: S104 -- a pod is reached from outside; its NetworkPolicy guards it
    metrics_port: Annotated[Port, Field(description="0: any free one")] = 9090
    # An address of a proxy may hold a password: kept out of reprs.
    egress_proxy: Annotated[str | None, Field(repr=False, description="for calls to Talkdesk only")] = None
    ca_file: Annotated[Path | None, Field(description="PEM bundle for calls to Talkdesk only")] = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"


class SettingsError(Exception):
    """The environment does not make settings; the message names each variable and what is wrong with it."""


S = TypeVar("S", bound=BaseSettings)


def read_settings(settings: type[S]) -> S:
    """``settings`` from the environment. Raises :class:`SettingsError`, never showing a value."""
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        faults = "; ".join(
            f"{prefix}{'_'.join(str(part) for part in fault['loc'][:1])}".upper() + f": {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise SettingsError(f"environment: {faults}") from None
