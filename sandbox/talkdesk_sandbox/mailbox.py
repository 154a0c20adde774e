"""A real SMTP server that delivers nothing: what arrives is kept to be looked at (``GET /control/mails``)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiosmtpd.smtp import Envelope, Session

#: Mails kept; the oldest go first.
KEPT = 200

routes = web.RouteTableDef()


@dataclass(frozen=True)
class Mail:
    """One that arrived. ``at`` is when it did; ``text`` and ``html`` are its two bodies, if it has them."""

    id: int
    at: str
    to: list[str]
    sender: str
    subject: str
    message_id: str
    reply_to: str | None
    text: str | None
    html: str | None


class Mailbox:
    """Everybody's mailbox; a handler for aiosmtpd."""

    def __init__(self) -> None:
        self.mails: deque[Mail] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a message."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        self.mails.append(_parsed(next(self._numbers), raw, to=list(envelope.rcpt_tos)))
        return "250 kept"

    @contextlib.asynccontextmanager
    async def served(self, *, port: int = 0) -> AsyncIterator[int]:
        """Accept mail on 127.0.0.1 while the block runs; gives the port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(self, hostname="mailbox.localhost", loop=loop), "127.0.0.1", port
        )
        async with server:
            yield int(server.sockets[0].getsockname()[1])


MAILBOX: web.AppKey[Mailbox] = web.AppKey("mailbox", Mailbox)


@routes.get("/control/mails")
async def mails(request: web.Request) -> web.Response:
    """Every mail that is kept, oldest first."""
    return web.json_response({"mails": [asdict(mail) for mail in request.app[MAILBOX].mails]})


@routes.delete("/control/mails")
async def empty(request: web.Request) -> web.Response:
    """None any more."""
    request.app[MAILBOX].mails.clear()
    return web.json_response({"mails": []})


def _parsed(number: int, raw: bytes, *, to: list[str]) -> Mail:
    message = message_from_bytes(raw, policy=policy.default)

    def header(name: str) -> str | None:
        value = message[name]
        return str(value) if value is not None else None

    def body(kind: str) -> str | None:
        part: Any = message.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part is not None else None

    return Mail(
        id=number,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        to=to,
        sender=header("From") or "",
        subject=header("Subject") or "",
        message_id=header("Message-ID") or "",
        reply_to=header("Reply-To"),
        text=body("plain"),
        html=body("html"),
    )
