"""A mail server on the way to the mailbox, which may lose mails or cut them short."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Literal

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiosmtpd.smtp import Envelope, Session


Manner = Literal["loses", "leaves out whom to ask"]


@dataclass
class Post:
    """``manners`` says what becomes of a customer's mails, by its name, on their way to ``host``.

    ``others`` says it of all other customers' mails; None: they arrive.
    """

    host: str = ""
    port: int = 0
    manners: dict[str, Manner] = field(default_factory=dict)
    others: Manner | None = None

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail, whatever becomes of it."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode()
        to = {one.rpartition("@")[2].removesuffix(".example") for one in envelope.rcpt_tos}
        manner = next((self.manners[one] for one in to if one in self.manners), self.others)
        if manner == "leaves out whom to ask":
            raw = _without_contact(raw)
        if manner != "loses":
            await asyncio.to_thread(self._send, envelope, raw)
        return "250 taken"

    def _send(self, envelope: Envelope, raw: bytes) -> None:
        with smtplib.SMTP(self.host, self.port) as there:
            there.sendmail(envelope.mail_from or "", envelope.rcpt_tos, raw)

    @contextlib.asynccontextmanager
    async def office(self) -> AsyncIterator[int]:
        """Accept mails on 127.0.0.1; gives the port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(self, hostname="post.localhost", loop=loop), "127.0.0.1", 0
        )
        async with server:
            yield int(server.sockets[0].getsockname()[1])


def _without_contact(raw: bytes) -> bytes:
    message = message_from_bytes(raw, policy=policy.default)
    for part in message.walk():
        if part.get_content_maintype() == "text":
            part.set_content(
                part.get_content().replace("support@demo.localhost", ""), subtype=part.get_content_subtype()
            )
    return message.as_bytes(policy=policy.SMTP)  # bare line feeds are refused
