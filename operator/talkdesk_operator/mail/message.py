"""A mail as SMTP carries it. Pure.

Every value in a header is made one line before, and addresses are plain: a name cannot add a header. The
Message-ID is the same for each copy of a mail, so that whoever gets two sees one.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from talkdesk_operator.mail.one_line import one_line

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_operator.mail.compose import Letter
    from talkdesk_operator.mail.recipient import Recipient


@dataclass(frozen=True)
class Sender:
    """Who writes: ``address`` is the release's, ``name`` and ``reply_to`` are the app's."""

    address: str
    name: str
    reply_to: str | None = None


def message(letter: Letter, *, sender: Sender, to: Recipient, mail_id: str, date: datetime) -> EmailMessage:
    """The whole message; ``date`` is when its outcome came."""
    found = EmailMessage(policy=SMTP)
    found["From"] = _address(sender.address, sender.name)
    found["To"] = _address(to.address, to.name)
    if sender.reply_to is not None:
        found["Reply-To"] = _address(sender.reply_to, None)
    found["Subject"] = one_line(letter.subject)
    found["Date"] = date
    found["Message-ID"] = f"<{mail_id}@{sender.address.rpartition('@')[2]}>"
    # Nobody's holiday notice is an answer to it (RFC 3834; the second is Exchange's).
    found["Auto-Submitted"] = "auto-generated"
    found["X-Auto-Response-Suppress"] = "All"
    found.set_content(_encodable(letter.text))
    if letter.html is not None:
        found.add_alternative(_encodable(letter.html), subtype="html")
    return found


def _address(address: str, name: str | None) -> Address:
    return Address(display_name=one_line(name or "", limit=128), addr_spec=address)


def _encodable(text: str) -> str:
    """Without halves of surrogate pairs, which JSON may hold and UTF-8 may not."""
    return text.encode("utf-8", "replace").decode("utf-8")
