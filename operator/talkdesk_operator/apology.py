"""What a customer is told with a rejection: their language, and whom to ask. Pure.

Talkdesk shows it to the admin who installed the app. The cause in our words (objects, fields, numbers) stays
in the conditions: it helps nobody outside, and tells more about the cluster than outsiders should know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.conditions import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_crds.app import TalkdeskApp

_NOT_STARTED = "the app did not start in time"
_OUR_MISTAKE = "the app could not be set up because of a mistake on our side"
_NOT_READ = "your account's details could not be read from Talkdesk"

#: By the reason for which the tenant is not usable; whatever is not listed here is told in general words.
CAUSES: Mapping[Reason, str] = {
    Reason.WORKLOAD_NOT_READY: _NOT_STARTED,
    Reason.WORKLOAD_FAILED: _NOT_STARTED,
    Reason.PROBE_FAILING: _NOT_STARTED,
    Reason.TEMPLATE_INVALID: _OUR_MISTAKE,
    Reason.APPLY_FAILED: _OUR_MISTAKE,
    Reason.PLAN_DOES_NOT_FIT: "the plan does not have room for what the app needs",
    Reason.CHANGE_REFUSED: "what the app keeps for your account cannot be changed over to it",
    Reason.AWAITING_ACCOUNT: _NOT_READ,
    Reason.LIST_FAILED: "the list of licensed users could not be read from Talkdesk",
    Reason.SUSPENDED: "the app is switched off for your account at present",
    Reason.WAITING_FOR_PERSON: "the app's provider has declined the request",
}
_IN_GENERAL = "the app could not be set up for your account"


def apology(app: TalkdeskApp, reason: Reason, *, updating: bool) -> str:
    """Two or three sentences for the customer.

    :param reason: why the tenant is not usable.
    :param updating: an update is rejected: the settings before it stay in use.
    """
    what = "Your changes were not applied" if updating else "The installation was not completed"
    cause = CAUSES.get(reason, _IN_GENERAL)
    kept = " Your previous settings stay in use." if updating else ""
    return f"{what}: {cause}.{kept} {_contact(app)}"


def _contact(app: TalkdeskApp) -> str:
    spec = app.spec
    ways = [f"write to {spec.contact}"] if spec.contact else []
    ways += [f"visit {spec.links.support}"] if spec.links.support else []
    if not ways:
        return "Please try again later, or contact the app's provider."
    return f"Please try again later, or {' or '.join(ways)}."
