"""One mail handed to the SMTP server, over a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import aiosmtplib
from pydantic import SecretStr

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

    from talkdesk_operator.mail.settings import MailSettings


class Fault(Enum):
    """What kind of failure it was."""

    #: Worth another try: the server, or our own settings, may be mended.
    PASSING = "passing"
    #: The server will not take this mail, or not for this address.
    REFUSED = "refused"


class NotSent(Exception):  # noqa: N818 - an outcome of one attempt
    """The server has not taken the mail; where and why, without address and password."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True)
class Login:
    """User name and password."""

    username: str
    password: SecretStr


class Smtp:
    """The server that ``settings`` name."""

    def __init__(self, settings: MailSettings, *, local_name: str) -> None:
        self._settings = settings
        self._local_name = local_name

    async def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        """Return once the server has said 250 to the whole message. Raises :class:`NotSent`."""
        try:
            async with asyncio.timeout(self._settings.smtp_seconds):
                await self._send(message, sender=sender, to=to)
        except TimeoutError:
            seconds = f"{self._settings.smtp_seconds:g} s"
            raise NotSent(Fault.PASSING, f"{self._where}: no answer within {seconds}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._told(error, to=to) from None

    @property
    def _where(self) -> str:
        return f"SMTP server {self._settings.smtp_host}:{self._settings.smtp_port}"

    async def _send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        settings = self._settings
        login = await asyncio.to_thread(_login, settings.smtp_credentials)
        secured = settings.smtp_tls != "none"
        context = await asyncio.to_thread(_context, settings.smtp_ca_file) if secured else None
        server = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_tls == "implicit",
            # True, not "if offered": what is between us and the server must not be able to take it away.
            start_tls=settings.smtp_tls == "starttls",
            tls_context=context,
            username=login.username if login is not None else None,
            password=login.password.get_secret_value() if login is not None else None,
            local_hostname=self._local_name,
            timeout=settings.smtp_seconds,
        )
        try:
            await server.connect()
            await server.send_message(message, sender=sender, recipients=[to])
            # It is sent. Whatever becomes of the connection now must not make us send it once more.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await server.quit(timeout=1)
        finally:
            server.close()

    def _told(self, error: Exception, *, to: str) -> NotSent:
        refused = error
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
            refused = error.recipients[0]
        said = str(getattr(refused, "message", refused))
        if isinstance(error, aiosmtplib.SMTPConnectError) and error.__cause__ is not None:
            said = str(error.__cause__) or type(error.__cause__).__name__
        said = " ".join(said.split()).replace(to, "the address")
        code = getattr(refused, "code", None)
        final = isinstance(refused, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
        fault = Fault.REFUSED if final and isinstance(code, int) and code >= 500 else Fault.PASSING
        what = f"{code} {said}" if isinstance(code, int) else said or type(error).__name__
        return NotSent(fault, f"{self._where}: {what[:400]}")


def _login(folder: Path | None) -> Login | None:
    """From the mounted Secret, read anew each time: it may have been changed. ValueError names the file."""
    if folder is None:
        return None
    found = {}
    for name in ("username", "password"):
        try:
            found[name] = (folder / name).read_text().rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"the key {name} of the SMTP credentials: {error.strerror}") from None
    return Login(found["username"], SecretStr(found["password"]))


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    except OSError as error:
        raise ValueError(f"the CA certificates for the SMTP server: {error.strerror or error}") from None
