"""Which of Talkdesk's users may enter, and as what: the app's rules and the installation's. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds import names
from talkdesk_crds.conditions import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation

ADMIN, USER = "admin", "user"


@dataclass(frozen=True)
class UserRules:
    """``inactive``: users whom Talkdesk lists as inactive may enter.

    ``roles``: (Talkdesk's role, the app's), in order of rank. ``assigned``: the app's role by user id, over
    everything else.
    """

    inactive: bool = False
    roles: tuple[tuple[str, str], ...] = ()
    assigned: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str | None:
        """Two sets of rules have the same digest if they are the same; None of the default ones."""
        if self == UserRules():
            return None
        assigned = [part for pair in sorted(self.assigned.items()) for part in pair]
        ranked = [part for pair in self.roles for part in pair]
        return names.digest(str(self.inactive), str(len(ranked)), *ranked, *assigned, length=32)

    def role(self, user: str, *, admin: bool, talkdesk: Iterable[str] = ()) -> str:
        """The app's role of ``user``, who has the roles ``talkdesk`` at Talkdesk.

        What the installation assigns counts first. The installing admin (``admin``) is admin whatever
        Talkdesk calls them: an app with nobody in that role could not be set up.
        """
        if user in self.assigned:
            return self.assigned[user]
        if admin:
            return ADMIN
        had = set(talkdesk)
        return next((role for name, role in self.roles if name in had), USER)


def rules(app: TalkdeskApp, installation: TalkdeskInstallation) -> UserRules:
    """What app and installation say together."""
    said = app.spec.users
    return UserRules(
        inactive=said.inactive == "Licensed",
        roles=tuple((one.talkdesk, one.app) for one in said.roles),
        assigned=installation.spec.roles or {},
    )


def changed(installation: TalkdeskInstallation, now: UserRules) -> bool:
    """The users were brought under other rules than those of now; not so where they never were listed."""
    status = installation.status
    return status.users is not None and status.user_rules != now.digest


def roles_unknown(installation: TalkdeskInstallation) -> bool:
    """When the users were listed last, their roles at Talkdesk could not be read."""
    return any(
        one.type == types.USERS_SYNCED and one.reason == Reason.ROLES_UNKNOWN
        for one in installation.status.conditions
    )
