"""Installations of apps that nobody declared: they wait for their TalkdeskApp, but not without bound. Pure.

Talkdesk signs every partner's events alike, so whoever points an app at our URL makes installations here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_operator.paused import is_paused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from talkdesk_crds.installation import TalkdeskInstallation


def surplus(
    installations: Iterable[TalkdeskInstallation],
    *,
    declared: AbstractSet[str],
    tenants: AbstractSet[tuple[str, str]],
    kept: int,
) -> list[TalkdeskInstallation]:
    """The oldest of undeclared apps' installations beyond the newest ``kept``, oldest first.

    One that has, or had, a tenant was a customer's: it neither counts nor goes, and no more does one that a
    person has paused, or that is on its way out already.

    :param declared: app ids of all TalkdeskApps, also of those that cannot be read.
    :param tenants: labels (app, account) of the tenants there are.
    """
    waiting = [
        one
        for one in installations
        if one.spec.app_id not in declared
        and (names.label_value(one.spec.app_id), names.label_value(one.spec.account_id)) not in tenants
        and one.status.tenant is None
        and not is_paused(one)
        and one.metadata.deletion_timestamp is None
    ]
    waiting.sort(key=lambda one: (one.metadata.creation_timestamp or "", one.metadata.name))
    return waiting[: max(0, len(waiting) - kept)]
