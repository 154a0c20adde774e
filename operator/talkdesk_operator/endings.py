"""Ends of access that Talkdesk's API alone tells of: noted, held for a moment, and stopped by the brake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import Impending
from talkdesk_crds.meta import parse_time, time
from talkdesk_operator.brake import Member, brake, ends_at, released_until
from talkdesk_operator.cache import app_index
from talkdesk_operator.conditions import false

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation, TalkdeskInstallationStatus
    from talkdesk_operator.brake import Brake, BrakePolicy
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.notes import Notes
    from talkdesk_operator.standing import Suspension

#: While the brake holds, it is looked at again so often; seconds.
_LOOK_SECONDS = 30.0


class Endings:
    """Decides, over all installations of an app in a region, whether one of them loses its access now."""

    def __init__(self, caches: Caches, policy: BrakePolicy, clock: Callable[[], datetime]) -> None:
        self._caches = caches
        self._policy = policy
        self._clock = clock

    def brakes(self, app: TalkdeskApp) -> dict[str, Brake]:
        """The brake of each region of ``app``, by the stored status of its installations."""
        members: dict[str, list[Member]] = {}
        for one in self._caches.installations.by(app_index(app.spec.app_id)):
            members.setdefault(one.spec.region or "", []).append(_member(one))
        return {region: self._brake(found, app) for region, found in members.items()}

    def comes(self, notes: Notes, app: TalkdeskApp | None, suspension: Suspension) -> float | None:
        """None where ``suspension`` comes now; else it is held back: seconds until the next look.

        Either way the notes say so (``impending``, ``held``).
        """
        status, now = notes.installation.status, self._clock()
        served = status.access is not None and status.access.state == "Allowed"
        if not served and status.impending is None:
            return None  # nothing is lost
        begun = status.impending if not emptied(status) else None
        since = parse_time(begun.since) if begun is not None else now
        notes.impending = Impending(reason=suspension.reason.value, since=time(since))
        if not served or app is None:
            return None
        spec = notes.installation.spec
        members = [
            _member(one)
            for one in self._caches.installations.by(app_index(spec.app_id))
            if one.spec.region == spec.region and one.metadata.name != notes.name
        ]
        found = self._brake([*members, Member(notes.name, served=True, impending_since=since)], app)
        end = ends_at(since, found, policy=self._policy, released=released_until(app))
        if end is not None and end <= now:
            return None
        if end is None:
            message = (
                f"{suspension.message}; access is kept, for Talkdesk's API says the like of very many:"
                f" see condition Steady of TalkdeskApp {app.metadata.name}"
            )
            notes.held = false(Reason.BRAKE_HOLDS, message)
            return min(_LOOK_SECONDS, max(1.0, self._policy.hold.total_seconds()))
        notes.held = false(Reason.ACCESS_ENDING, f"{suspension.message}; access ends at {time(end)}")
        return (end - now).total_seconds()

    def recall(self, notes: Notes) -> None:
        """Users that went with an end that has come: it counts among the many for the policy's window.

        Nothing else tells of it, for access by then is what it was: nobody's. Whoever finds somebody on
        Talkdesk's list again takes the note away.
        """
        told = notes.installation.status.impending
        if notes.impending is not None or told is None or not emptied(notes.installation.status):
            return
        if self._clock() - parse_time(told.since) <= self._policy.window:
            notes.impending = told

    def _brake(self, members: list[Member], app: TalkdeskApp) -> Brake:
        return brake(members, now=self._clock(), policy=self._policy, released=released_until(app))


def emptied(status: TalkdeskInstallationStatus) -> bool:
    """Its users are gone because Talkdesk listed none, and none is back."""
    vanished = status.impending is not None and status.impending.reason == Reason.USERS_VANISHED
    return vanished and (status.users is None or status.users.count == 0)


def _member(installation: TalkdeskInstallation) -> Member:
    status = installation.status
    return Member(
        installation.metadata.name,
        served=status.access is not None and status.access.state == "Allowed" and not emptied(status),
        impending_since=parse_time(status.impending.since) if status.impending is not None else None,
    )
