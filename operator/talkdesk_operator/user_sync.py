"""The user list into the slices, with the removals that hold people out, and those that a list settles."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from talkdesk_client import TalkdeskError
from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_kube import KubeError
from talkdesk_operator import audit, failures, talkdesk_roles
from talkdesk_operator.conditions import false, true
from talkdesk_operator.confirm import SETTLED_STATES
from talkdesk_operator.failures import Kind
from talkdesk_operator.hanging import Call
from talkdesk_operator.reading import NO_STATE
from talkdesk_operator.revocations import new_epoch, revoked
from talkdesk_operator.standing import Suspension
from talkdesk_operator.users import ListedUser, held, merge, missing, settleable, settled_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from talkdesk_client import InstallationRef, TalkdeskClient, User
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_operator.conditions import Verdict
    from talkdesk_operator.endings import Endings
    from talkdesk_operator.entries import Entry
    from talkdesk_operator.hanging import Hanging
    from talkdesk_operator.notes import Agenda, Notes
    from talkdesk_operator.reading import Reading
    from talkdesk_operator.revocations import RevocationDesk
    from talkdesk_operator.slices import SliceStore
    from talkdesk_operator.talkdesk_roles import Told
    from talkdesk_operator.user_rules import UserRules

_log = structlog.get_logger(__name__)

# What the kind accepts as a user id, an e-mail address and a name.
_ID = re.compile(r"[!-~]{1,128}\Z")
_EMAIL_LIMIT = 320
_NAME_LIMIT = 512


#: Nobody is licensed any more: unheard of, for whoever installs an app stays its user.
VANISHED = Suspension(
    Reason.USERS_VANISHED, "Talkdesk lists no user any more, and no event has said so", read=True
)
#: A list that is torn by a change is read again so often.
_READINGS = 3


@dataclass(frozen=True)
class Listing:
    """A complete list of the users, read in ``moment``; ``unusable`` more have no usable id.

    ``settling``: the removals that it takes over from.
    """

    users: Sequence[ListedUser]
    unusable: int
    told: Told
    moment: tuple[str, str | None]
    settling: frozenset[str] = frozenset()

    def verdict(self, count: int) -> Verdict:
        """What to say of ``count`` users who may enter by it."""
        if self.unusable:
            total = len(self.users) + self.unusable
            return false(Reason.USERS_UNUSABLE, f"{self.unusable} of {total} users have no usable id")
        if self.told.problem is not None:
            # Everybody who is licensed may enter, so this is no less true than before.
            return true(self.told.problem, f"{count} users; {self.told.message}")
        return true(Reason.USERS_LISTED, f"{count} users")


class UserSync:
    """Keeps an installation's slices at what Talkdesk lists."""

    def __init__(
        self,
        client: TalkdeskClient,
        hanging: Hanging,
        *,
        slices: SliceStore,
        revocations: RevocationDesk,
        endings: Endings,
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._endings = endings
        self._client = client
        self._hanging = hanging
        self._slices = slices
        self._revocations = revocations

    async def sync(
        self, notes: Notes, app: TalkdeskApp, ref: InstallationRef, reading: Reading, agenda: Agenda
    ) -> None:
        """List the users into the slices; Talkdesk's failures become verdicts. Raises KubeError.

        A list that lets nobody in any more, without an event that says so, ends everybody's access: it waits
        as other ends do that Talkdesk's API alone tells of, and the brake may stop it.
        """
        notes.memory.listed_for = None  # until the slices hold a list every pass asks again
        try:
            listing = await self._listing(notes, ref, reading)
        except TalkdeskError as error:
            failure = failures.of_talkdesk(error)
            self._not_listed(notes, failure.message)
            agenda.fail(failure.retry_after)
            if failure.kind is Kind.REFUSED:
                # These credentials may have been replaced: the next pass reads first, and finds out.
                notes.memory.reading = None
                notes.memory.resync_due = -math.inf
            return
        if listing is None:
            self._not_listed(notes, "Talkdesk's state changed each time that the users were listed")
            notes.memory.resync_due = -math.inf
            agenda.fail()
            return
        if self._empties(notes, listing) and (wait := self._endings.comes(notes, app, VANISHED)) is not None:
            self._not_listed(notes, f"{VANISHED.message}; whoever was licensed still is")
            agenda.decide_in(wait)
            return
        async with self._slices.alone(notes.installation):
            count, lines = await self._merge(notes, reading, listing)
        await audit.say_each("user access changed", lines)
        if count and notes.impending is not None and notes.impending.reason == Reason.USERS_VANISHED:
            notes.impending = None
        notes.listed, notes.user_rules = True, notes.rules.digest
        notes.memory.listed_for = listing.moment
        if listing.moment != reading.moment:
            # Something happened meanwhile, and its event may be lost: the next pass reads at once.
            notes.memory.resync_due = -math.inf
            agenda.look_in(0.0)
        notes.verdicts[types.USERS_SYNCED] = listing.verdict(count)
        if not listing.told.roles.known:
            agenda.fail(listing.told.retry_after)

    def _empties(self, notes: Notes, listing: Listing) -> bool:
        """Somebody may enter, and by this list nobody may."""
        if any(user.active or notes.rules.inactive for user in listing.users):
            return False
        return self._missing(notes, ())

    def _not_listed(self, notes: Notes, message: str) -> None:
        _log.warning("the users could not be listed", installation=notes.name, error=message)
        notes.verdicts[types.USERS_SYNCED] = false(Reason.LIST_FAILED, message)

    async def _merge(
        self, notes: Notes, reading: Reading, listing: Listing
    ) -> tuple[int, Iterator[dict[str, Any]]]:
        """Into the slices, in which nothing else happens meanwhile. Raises KubeError.

        How many users, and the lines of the audit log.
        """
        installation = notes.installation
        # Removals that came in while the list was on its way hold as well.
        revocations = self._revocations.of(installation)
        out = held((revoked(one) for one in revocations), settling=listing.settling)
        before = self._slices.current(installation).users
        merged = merge(
            before,
            listing.users,
            held=out,
            admin=reading.admin,
            rules=notes.rules,
            roles=listing.told.roles,
            new_epoch=new_epoch,
        )
        state, updated_at = listing.moment
        read = {"kind": "list", "state": state, "updatedAt": updated_at}
        events = {user: one.spec.cause for one in revocations for user in one.spec.users}

        def cause(user: str) -> dict[str, str | None]:
            return {"kind": "event", "event": events[user]} if user in out and user in events else read

        def lines(after: Mapping[str, Entry]) -> Iterator[dict[str, Any]]:
            return audit.users_changed(installation, before, after, cause=cause, now=self._clock())

        written = False
        try:
            notes.users = (await self._slices.write(installation, merged)).status
            written = True
            if listing.settling:
                await self._revocations.settle(installation, listing.settling)
        except KubeError:
            # What of it is stored counts already.
            after = merged if written else self._slices.current(installation).users
            await audit.say_each("user access changed", lines(after))
            raise
        return len(merged), lines(merged)

    async def _listing(self, notes: Notes, ref: InstallationRef, reading: Reading) -> Listing | None:
        """A list that says who is licensed. Raises TalkdeskError; None where there is none to be had.

        A list has pages, and someone who is removed while they are read moves the others: one of them may be
        on none. So a list that somebody is missing from counts only between two equal readings, as does one
        that settles removals.
        """
        moment = reading.moment
        for _ in range(_READINGS):
            users, told = await self._users(ref, notes.rules)
            listed, unusable = listed_users(users)
            listing = Listing(listed, unusable, told, moment)
            del users  # there may be many
            removals = [revoked(one) for one in self._revocations.of(notes.installation)]
            seen = settleable(moment, reading.seen, removals, settled_states=SETTLED_STATES)
            if not seen and not self._missing(notes, listed):
                return listing
            with self._hanging.asking(ref.hosts.api, Call.READING):
                state = (await self._client.installation(ref)).state
            after = (state.state, state.updated_at) if state is not None else (NO_STATE, None)
            settling = settled_by(moment, after, seen, settled_states=SETTLED_STATES)
            if settling is not None:
                return replace(listing, settling=settling)
            moment = after
        return None

    def _missing(self, notes: Notes, listed: Iterable[ListedUser]) -> bool:
        """Somebody who may enter is not listed any more, and no event has said so."""
        installation = notes.installation
        out = held(revoked(one) for one in self._revocations.of(installation))
        known = {user for one in self._slices.current(installation).slices.values() for user in one.users}
        return bool(missing(known, listed, out))

    async def _users(self, ref: InstallationRef, rules: UserRules) -> tuple[tuple[User, ...], Told]:
        """The licensed users, and what is told of their roles. Raises TalkdeskError for the former alone."""
        users, (scim, told) = await asyncio.gather(
            self._licensed(ref), talkdesk_roles.ask(self._client, ref, rules, self._hanging)
        )
        if scim:
            told = replace(told, roles=talkdesk_roles.by_user(users, scim, rules))
        return users, told

    async def _licensed(self, ref: InstallationRef) -> tuple[User, ...]:
        with self._hanging.asking(ref.hosts.api, Call.USERS):
            return await self._client.users(ref)


def listed_users(users: Iterable[User]) -> tuple[list[ListedUser], int]:
    """What of Talkdesk's list the kind can hold, and how many users it cannot."""
    listed, unusable = [], 0
    for user in users:
        if not _ID.match(user.id):
            unusable += 1
            continue
        email = user.email if user.email and len(user.email) <= _EMAIL_LIMIT else None
        name = user.name[:_NAME_LIMIT] if user.name else None
        listed.append(ListedUser(id=user.id, email=email, name=name, active=user.active))
    return listed, unusable
