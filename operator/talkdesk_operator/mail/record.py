"""The mails of an installation, as an annotation keeps them: JSON, newest last, bounded. Pure.

A mail is recorded as owed before it is sent, together with the answer it tells of, and as sent afterwards:
whatever ends the process in between leads to one more copy with the same Message-ID, never to none. No
address is in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

from talkdesk_crds.meta import parse_time
from talkdesk_crds.names import MAILS_ANNOTATION, digest
from talkdesk_operator.confirm import REMEMBERED
from talkdesk_operator.mail.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from talkdesk_crds.installation import TalkdeskInstallation

_LIMIT = 1024

State = Literal["owed", "sent", "givenUp"]


@dataclass(frozen=True)
class Mail:
    """One mail; (``request``, ``outcome``) is what there is only one of."""

    outcome: Outcome
    #: The event that asked, or where none is known the moment that was answered.
    request: str
    #: When the outcome came, as a Kubernetes time.
    at: str
    state: State = "owed"
    #: Why the request was not fulfilled, in the customer's words.
    reason: str | None = None
    #: When it was sent, or given up.
    ended: str | None = None
    #: Why it was given up: a condition's reason, and its message.
    cause: str | None = None
    message: str | None = None

    @property
    def owed_since(self) -> datetime:
        """``at`` as a time."""
        return parse_time(self.at)

    def id(self, installation_id: str) -> str:
        """The same for each copy, also after a restore from a backup."""
        return digest(installation_id, self.request, self.outcome.value, length=32)

    def same(self, other: Mail) -> bool:
        """They tell of the same."""
        return (self.request, self.outcome) == (other.request, other.outcome)


def parse(annotation: str | None) -> tuple[Mail, ...]:
    """The mails in ``annotation``; what is unreadable was not written by us and counts as none."""
    known = {field.name for field in fields(Mail)}
    try:
        entries = json.loads(annotation or "[]")
        found = tuple(
            Mail(
                **{name: value for name, value in entry.items() if name in known}
                | {"outcome": Outcome(entry["outcome"])}
            )
            for entry in entries
        )
        for mail in found:
            parse_time(mail.at)
    except (ValueError, TypeError, AttributeError, KeyError):
        return ()
    return found[-REMEMBERED:]


def of(installation: TalkdeskInstallation) -> tuple[Mail, ...]:
    """The mails of ``installation``."""
    return parse(installation.metadata.annotations.get(MAILS_ANNOTATION))


def remember(mails: Sequence[Mail], new: Mail) -> tuple[Mail, ...]:
    """``mails`` and ``new``, unless there is one about the same already."""
    if any(one.same(new) for one in mails):
        return tuple(mails)
    reason = new.reason[:_LIMIT] if new.reason is not None else None
    return (*mails, replace(new, reason=reason))[-REMEMBERED:]


def mark(mails: Sequence[Mail], ended: Mail) -> tuple[Mail, ...]:
    """``mails`` with ``ended`` in the place of the one it was."""
    message = ended.message[:_LIMIT] if ended.message is not None else None
    return tuple(replace(ended, message=message) if one.same(ended) else one for one in mails)


def is_owed(mails: Sequence[Mail]) -> bool:
    """At least one of them is to be sent still."""
    return any(one.state == "owed" for one in mails)
