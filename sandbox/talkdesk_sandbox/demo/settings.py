"""What the TalkdeskApp's template tells the demo, by its environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """Where to listen, whom to believe, where to keep things, and how long to drain (seconds).

    ``BIND_ADDRESS`` (else ``POD_IP``, else all addresses) and ``PORT`` (8080): where to listen.
    ``ACCOUNT_FILE``: where ``account.json`` of the ``talkdesk-account`` ConfigMap is mounted.
    ``JWKS_URL``: the gateway's key set. Without it nobody is asked who they are: for a laptop alone.
    ``DATA_DIR``: a folder of the app's own volume; without it every visit is a first one.
    ``DRAIN_SECONDS`` (2): how long it goes on answering after SIGTERM while it already says not ready.
    """

    address: str
    port: int
    account_file: Path | None
    jwks_url: str | None
    data: Path | None
    drain: float

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Settings:
        """From the environment; raises ValueError for a number that is none."""
        file, data = env.get("ACCOUNT_FILE"), env.get("DATA_DIR")
        return cls(
            address=env.get("BIND_ADDRESS") or env.get("POD_IP") or "0.0.0.0",  # noqa: S104 - a container's default
            port=int(env.get("PORT", "8080")),
            account_file=Path(file) if file else None,
            jwks_url=env.get("JWKS_URL") or None,
            data=Path(data) if data else None,
            drain=float(env.get("DRAIN_SECONDS", "2")),
        )
