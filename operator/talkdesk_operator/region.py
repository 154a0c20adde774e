"""Which region an installation belongs to: the app's host table against the event's ``root`` link. Pure.

No event and no account record of Talkdesk's names a region; the gateway in ``_links.root`` is the region.
A host that is not in the table is never talked to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from talkdesk_crds.conditions import Reason

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation


@dataclass(frozen=True)
class Placed:
    """The region's name in the app's host table."""

    region: str


@dataclass(frozen=True)
class Unplaced:
    """Why there is no region: a reason and a message for the condition."""

    reason: Reason
    message: str


def place(app: TalkdeskApp | None, installation: TalkdeskInstallation) -> Placed | Unplaced:
    """The installation's region: the stored one, else the one whose API host its ``root`` link names."""
    spec = installation.spec
    if spec.region is not None:
        return Placed(spec.region)
    if app is None:
        return Unplaced(Reason.APP_UNKNOWN, f"no TalkdeskApp has appId {spec.app_id}")
    root = spec.talkdesk.links.get("root")
    if root is None:
        return Unplaced(Reason.LINKS_MISSING, "no event has carried the link root yet")
    host = host_of(root.href)
    for name, region in sorted(app.spec.regions.items()):
        if host == region.api:
            return Placed(name)
    shown = host or "no https host"
    return Unplaced(
        Reason.FOREIGN_LINKS,
        f"link root names {shown}, no region of TalkdeskApp {app.metadata.name}: nothing is sent there",
    )


def host_of(href: str) -> str | None:
    """Lower-case host of an https link; None for anything else."""
    try:
        parts = urlsplit(href)
        host = parts.hostname
    except ValueError:
        return None
    return host if parts.scheme == "https" else None
