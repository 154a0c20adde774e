"""What an event takes away, as TalkdeskRevocations: users removed, and users signed out.

They carry no trust of their own and grant nothing; the operator applies them. Their names are digests of fact
and cause, so a redelivered event stores nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from talkdesk_crds.meta import ObjectMeta
from talkdesk_crds.revocation import (
    USERS_PER_PART,
    TalkdeskRevocation,
    TalkdeskRevocationSpec,
    revocation_name,
)
from talkdesk_webhook.secret import installation_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_webhook.event import Event


def revocations(event: Event, *, namespace: str) -> list[TalkdeskRevocation]:
    """One TalkdeskRevocation for each 10,000 users that ``event`` removes or signs out; mostly none."""
    return [
        *_parts(event, "Removed", event.removed, namespace),
        *_parts(event, "SignedOut", event.signed_out, namespace),
    ]


def _parts(
    event: Event, kind: Literal["Removed", "SignedOut"], users: tuple[str, ...], namespace: str
) -> Iterator[TalkdeskRevocation]:
    for part, start in enumerate(range(0, len(users), USERS_PER_PART)):
        spec = TalkdeskRevocationSpec(
            kind=kind,
            app_id=event.app_id,
            account_id=event.account_id,
            installation_id=event.installation_id,
            users=list(users[start : start + USERS_PER_PART]),
            cause=event.id,
            part=part,
            at=event.at,
        )
        meta = ObjectMeta(name=revocation_name(spec), namespace=namespace, labels=installation_labels(event))
        yield TalkdeskRevocation(metadata=meta, spec=spec)
