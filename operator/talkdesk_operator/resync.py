"""How somebody asks for a resync: by a token that ``status.observedResync`` does not show yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation


def resync_token(installation: TalkdeskInstallation) -> str | None:
    """The token by which somebody asks for a resync, None where nobody does.

    A longer one than status can show asks for nothing: it would never be observed, cut or not. The admission
    policy refuses it; it may be older than that.
    """
    token = installation.metadata.annotations.get(names.RESYNC_ANNOTATION)
    return token if token is None or len(token) <= names.RESYNC_LENGTH else None
