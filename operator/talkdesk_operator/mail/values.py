"""What a template may say: everything known about one mail, as :data:`language.REFERENCES` names it. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from talkdesk_operator.mail.one_line import one_line
from talkdesk_operator.mail.words import About, words
from talkdesk_operator.moments import moment

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.mail.recipient import Recipient
    from talkdesk_operator.mail.record import Mail
    from talkdesk_operator.tenant.facts import AccountFacts


@dataclass(frozen=True)
class Story:
    """What one mail is about. ``launch`` is where users enter, None where nobody does."""

    app: TalkdeskApp
    installation: TalkdeskInstallation
    mail: Mail
    recipient: Recipient
    account: AccountFacts
    plan: str | None = None
    launch: str | None = None


def app_name(app: TalkdeskApp) -> str:
    """What customers know the app as."""
    return one_line(app.spec.email.app_name or app.metadata.name)


def values(story: Story) -> dict[str, Any]:
    """For the templates; what is not known is None. Everything is one line: the names are other people's."""
    app, installation, mail, account = story.app, story.installation, story.mail, story.account
    said = installation.spec.talkdesk.account_name
    name = account.name or (said.name if said is not None else None)
    until = _kept_until(story)
    told = words(
        mail.outcome,
        About(
            app=app_name(app),
            company=one_line(account.company_name or name or "your account"),
            reason=_line(mail.reason),
            kept_until=until,
        ),
    )
    links = app.spec.links
    return {
        "app": {"id": app.spec.app_id, "name": app_name(app)},
        "account": {
            "id": installation.spec.account_id,
            "name": _line(name),
            "companyName": _line(account.company_name),
        },
        "admin": {"name": _line(story.recipient.name), "email": story.recipient.address},
        "installation": {"id": installation.spec.installation_id},
        "plan": {"name": _line(story.plan)},
        "links": {
            "launch": story.launch if mail.outcome.request != "uninstall" else None,
            "terms": links.terms,
            "support": links.support,
            "upgrade": links.upgrade,
        },
        "retention": {"until": until},
        "words": asdict(told),
        "contact": _line(app.spec.contact),
        "outcome": mail.outcome.value,
        "request": mail.outcome.request,
        "succeeded": mail.outcome.succeeded,
        "reason": _line(mail.reason),
    }


def _kept_until(story: Story) -> str | None:
    seconds = story.app.spec.retention.seconds
    if story.mail.outcome.request != "uninstall" or seconds == 0:
        return None
    # The deadline is no promise by itself: it counts in how long Talkdesk may wait for our approval.
    deadline = moment(story.installation.status.deadlines.retention)
    kept = _left_at(story) + timedelta(seconds=seconds)
    due = min(kept, deadline) if deadline is not None else kept
    return f"{due:%Y-%m-%d %H:%M} UTC" if due > story.mail.owed_since else None


def _left_at(story: Story) -> datetime:
    """When it was uninstalled; the answer that the mail is about may have come later."""
    said = story.installation.spec.talkdesk
    told = said.uninstalled.at if said.uninstalled is not None and said.is_uninstalled else None
    return min(story.mail.owed_since, moment(told) or story.mail.owed_since)


def _line(text: str | None) -> str | None:
    return one_line(text) if text else None
