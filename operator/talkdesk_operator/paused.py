"""A person's hand on one tenant: while the annotation stands, nothing is written there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.names import PAUSED_ANNOTATION

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation


def is_paused(installation: TalkdeskInstallation) -> bool:
    """Any value but an empty one and ``false`` pauses."""
    return installation.metadata.annotations.get(PAUSED_ANNOTATION, "").strip().lower() not in ("", "false")
