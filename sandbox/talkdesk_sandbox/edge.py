"""Envoy as browsers reach it, and what the demo app is told of it."""

from __future__ import annotations

from dataclasses import dataclass

ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Edge:
    """Where Envoy listens, and what stands beside it.

    ``bar`` is the URL of the Talkdesk bar's script, ``jwks`` that of the gateway's key set for pods,
    ``website`` the base URL of the partner's own pages.
    """

    port: int
    bar: str
    jwks: str
    website: str

    @property
    def address(self) -> str:
        """``ip:port``; every host under ``.localhost`` is this address."""
        return f"{ADDRESS}:{self.port}"

    def origin(self, host: str) -> str:
        """What browsers write before a path of ``host``."""
        return f"http://{host}:{self.port}"

    def launch_url(self, app: str) -> str:
        """Where Talkdesk sends the users of the demo app ``app``."""
        return f"{self.origin(launch_host(app))}/_td/launch"

    def redirect_uri(self, app: str) -> str:
        """Where Talkdesk sends users of ``app`` back to after they were signed on."""
        return f"{self.origin(launch_host(app))}/_td/callback"


def launch_host(app: str) -> str:
    """The launch host of the demo app ``app``: each TalkdeskApp has its own."""
    return f"launch.{app}.localhost"
