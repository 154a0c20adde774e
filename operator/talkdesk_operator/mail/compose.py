"""From what happened to the three texts of a mail: the app's own words where it has any. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from talkdesk_operator.mail.language import TemplateRefused, check, render
from talkdesk_operator.mail.one_line import one_line
from talkdesk_operator.mail.outcome import Outcome
from talkdesk_operator.mail.values import values
from talkdesk_operator.render import Problem

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.email import MailTemplate
    from talkdesk_operator.mail.values import Story

_SUBJECT_LIMIT = 200
_PARTS = ("subject", "text", "html")


@dataclass(frozen=True)
class Letter:
    """The content of one mail. ``html`` is None where the app wrote plain text alone."""

    subject: str
    text: str
    html: str | None


def compose(story: Story) -> Letter:
    """The mail about ``story``. A template that is broken, in whatever part, is replaced by the default."""
    known = values(story)
    own = story.mail.outcome.template(story.app.spec.email.templates)
    if own is not None and not problems_in(own):
        try:
            return _letter(own.subject, own.text, own.html, known)
        except TemplateRefused:
            pass  # too large with this customer's values
    return _letter(None, None, None, known)


def problems(app: TalkdeskApp) -> tuple[Problem, ...]:
    """What is wrong with the app's own templates, each with the path of its field."""
    found = []
    for outcome in Outcome:
        own = outcome.template(app.spec.email.templates)
        path = f"spec.email.templates.{outcome.value}"
        found += [Problem(f"{path}.{part}", message) for part, message in problems_in(own)]
    return tuple(found)


def problems_in(template: MailTemplate | None) -> list[tuple[str, str]]:
    """(part, message) of each part that cannot be used."""
    found = []
    for part in _PARTS if template is not None else ():
        source = getattr(template, part)
        try:
            if source is not None:
                check(source)
        except TemplateRefused as problem:
            found.append((part, str(problem)))
    return found


def _letter(subject: str | None, text: str | None, html: str | None, known: dict[str, object]) -> Letter:
    if html is None and text is None:
        html = default("html")
    return Letter(
        subject=one_line(render(subject or "{{ words.subject }}", known, html=False), limit=_SUBJECT_LIMIT),
        text=render(text or default("txt"), known, html=False),
        html=render(html, known, html=True) if html is not None else None,
    )


@cache
def default(ending: str) -> str:
    """A default template, by the ending of its file's name."""
    return files("talkdesk_operator").joinpath(f"mail/templates/default.{ending}").read_text()
