"""The part of the operator's settings that is about mail: see ``docs/interfaces.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from talkdesk_operator.mail.recipient import usable

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class MailSettings(BaseSettings):
    """Without ``smtp_host`` no mail is sent, and none is owed."""

    smtp_host: str = ""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    #: ``starttls`` is demanded, not only taken where it is offered; ``implicit``: TLS from the first byte.
    smtp_tls: Literal["starttls", "implicit", "none"] = "starttls"
    #: The address that mails come from.
    smtp_from: str = ""
    #: A folder with the files ``username`` and ``password``; None: no login.
    smtp_credentials: Path | None = None
    #: PEM bundle that replaces the system's for the SMTP server.
    smtp_ca_file: Path | None = None
    #: How long one attempt may take.
    smtp_seconds: Seconds = 20.0
    #: How long a mail is tried; afterwards it is given up.
    mail_seconds: Seconds = 86400.0
    #: From one attempt to the next: the first pause, which doubles up to half an hour.
    mail_retry_seconds: Seconds = 5.0

    @property
    def mails(self) -> bool:
        """Mails are sent."""
        return self.smtp_host != ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.mails and usable(self.smtp_from) is None:
            raise ValueError("smtp_from has to be an e-mail address where smtp_host is set")
        if self.mails and self.smtp_credentials is not None and self.smtp_tls == "none":
            raise ValueError("smtp_credentials would cross the network in clear: smtp_tls must not be none")
        return self
