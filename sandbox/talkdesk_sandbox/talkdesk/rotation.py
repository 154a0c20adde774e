"""An installation's credentials: rotation, acknowledgement, revocation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.talkdesk.change import Announcement, Change, NotPossibleError

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Credential, Installation
    from talkdesk_sandbox.talkdesk.switches import Switches

OLD_CREDENTIALS_LAST = timedelta(days=7)


def rotate(
    installation: Installation,
    *,
    credential: Credential,
    secrets: dict[str, Any],
    compromise: bool,
    event_id: str,
    now: datetime,
) -> Change:
    """New credentials. The old ones live 7 days more, or die at once when they are compromised."""
    if not any(one.status == "active" for one in installation.credentials):
        raise NotPossibleError(f"installation {installation.id} has no valid credentials to rotate")
    ends_at = now if compromise else now + OLD_CREDENTIALS_LAST
    old = tuple(
        one
        if one.status == "revoked"
        else replace(
            one, status="revoked" if compromise else "old", ends_at=min(one.ends_at or ends_at, ends_at)
        )
        for one in installation.credentials
    )
    return Change(
        installation=replace(installation, credentials=(*old, replace(credential, acknowledged=False))),
        announcements=(Announcement(type="app.credentials_rotated", data=secrets, event_id=event_id),),
    )


def acknowledge(installation: Installation, *, client_id: str, switches: Switches) -> Change:
    """The partner has the new set: the old ones end now."""
    credential = installation.credential(client_id)
    if credential is None or credential.status != "active":
        raise NotPossibleError(f"credentials {client_id} are not the current ones")
    if credential.acknowledged:
        if switches.repeated_answer == 409 or len(installation.credentials) == 1:
            raise NotPossibleError(f"credentials {client_id} wait for no acknowledgement")
        return Change(installation=installation)
    done = tuple(
        replace(one, acknowledged=True) if one.client_id == client_id else replace(one, status="revoked")
        for one in installation.credentials
    )
    return Change(installation=replace(installation, credentials=done))


def revoked(installation: Installation) -> Installation:
    """The installation with none of its credentials good any more."""
    return replace(
        installation, credentials=tuple(replace(one, status="revoked") for one in installation.credentials)
    )
