"""The mails of a TalkdeskApp as its customers would get them, with an invented customer. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_operator.apology import apology
from talkdesk_operator.mail.compose import Letter, compose
from talkdesk_operator.mail.outcome import Outcome
from talkdesk_operator.mail.recipient import Recipient
from talkdesk_operator.mail.record import Mail
from talkdesk_operator.mail.values import Story
from talkdesk_operator.tenant.facts import AccountFacts

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp

_SOMEBODY = Recipient("ada@acme.example", "Ada Lovelace")
_ACCOUNT = AccountFacts(name="acme", company_name="Acme & Sons Ltd", email="office@acme.example")


def preview(app: TalkdeskApp, *, at: str) -> dict[Outcome, Letter]:
    """One mail of each kind; ``at`` is the time they tell of."""
    plan = next(iter(app.spec.plans), None)
    launch = f"https://0123456789abcdef0123.{app.spec.base_domain}/" if app.spec.launch_host else None
    installation = TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": "preview"},
            "spec": {
                "appId": app.spec.app_id,
                "accountId": "5f0c6a2e9d1b4c00aaaaaaaa",
                "installationId": "5f0c6a2e9d1b4c00bbbbbbbb",
            },
        }
    )
    letters = {}
    for outcome in Outcome:
        told = apology(app, Reason.WORKLOAD_NOT_READY, updating=outcome.request == "update")
        mail = Mail(outcome, "preview", at=at, reason=None if outcome.succeeded else told)
        letters[outcome] = compose(Story(app, installation, mail, _SOMEBODY, _ACCOUNT, plan, launch))
    return letters
