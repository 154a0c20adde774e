"""Mails as the console shows them; who catches them is somebody else's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from talkdesk_sandbox.mailbox import Mailbox as Sink


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail; ``at`` is ISO 8601 in UTC, ``html`` None for one in plain text alone."""

    id: str
    to: str
    subject: str
    at: str
    message_id: str
    text: str
    html: str | None = None


class Mailbox(Protocol):
    """Where mails arrive."""

    def messages(self) -> Sequence[Mail]:
        """Every mail so far, oldest first."""
        ...


class NoMailbox:
    """Nobody catches mails."""

    def messages(self) -> Sequence[Mail]:
        """None."""
        return ()


@dataclass(frozen=True)
class Arrived:
    """The mails of the stand-in's own SMTP server."""

    sink: Sink

    def messages(self) -> Sequence[Mail]:
        """Every mail that is kept, oldest first."""
        return [
            Mail(
                id=str(one.id),
                to=", ".join(one.to),
                subject=one.subject,
                at=one.at,
                message_id=one.message_id,
                text=one.text or "",
                html=one.html,
            )
            for one in self.sink.mails
        ]
