"""Which plan an installation has: what Talkdesk's subscription shows, or what an update asks for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_operator.confirm import is_pending

if TYPE_CHECKING:
    from talkdesk_crds.installation import FromTalkdesk


def plan_name(said: FromTalkdesk, *, state: str, shown: str | None) -> str | None:
    """The plan's name, None where there is no subscription.

    While an update waits for its answer Talkdesk may show the old plan or the new one, which is not
    documented: then the plan that the newest update names counts, if it names one. At all other times, and so
    after a rejection, it is the plan that is shown.

    :param state: Talkdesk's state, read together with ``shown``.
    :param shown: the name of the subscription as read.
    """
    asked, updated, installed = said.subscription, said.updated, said.installed
    if asked is None or updated is None or not is_pending(state):
        return shown
    if asked.order() != updated.order():
        return shown  # the newest update is about users alone
    if installed is not None and installed.order() > updated.order():
        return shown  # said about an earlier installation
    return asked.name
