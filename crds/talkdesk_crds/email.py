"""``spec.email`` of a TalkdeskApp: mails to the admin who installed it, and the app's own words in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from talkdesk_crds.meta import Flag, Model

#: What a person may be called in a header: printable, one line.
HeaderText = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
#: An address as mail headers have it; deliberately plainer than RFC 5322.
MailAddress = Annotated[
    str, Field(min_length=3, max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")
]


class MailTemplate(Model):
    """A mail in the app's own words (Jinja2; ``docs/mails.md``). What is left out is the default's."""

    subject: Annotated[
        str | None, Field(min_length=1, max_length=512, description="one line; longer than 200 is cut")
    ] = None
    text: Annotated[str | None, Field(min_length=1, max_length=16384, description="the plain text")] = None
    html: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=32768,
            description="values are escaped; with a text and no html the mail is plain text",
        ),
    ] = None


class MailTemplates(Model):
    """One for each outcome of what a customer's admin does."""

    installed: MailTemplate | None = None
    install_failed: MailTemplate | None = None
    updated: MailTemplate | None = None
    update_failed: MailTemplate | None = None
    uninstalled: MailTemplate | None = None
    uninstall_failed: MailTemplate | None = None


class EmailPolicy(Model):
    """Mails to the admin who installed the app; they are sent where the chart names an SMTP server."""

    enabled: Annotated[Flag, Field(description="false: the app tells its customers itself")] = True
    app_name: Annotated[
        HeaderText | None,
        Field(description="what customers know the app as; by default the object's name"),
    ] = None
    sender_name: Annotated[HeaderText | None, Field(description="by default appName")] = None
    reply_to: Annotated[MailAddress | None, Field(description="by default spec.contact")] = None
    templates: MailTemplates = Field(default_factory=MailTemplates)
